"""What runs inside the sandbox: plain Python of the standard library, sent in as source, importing nothing of docendo.

`wire` carries values between processes as data, `runner` runs the program under test, `checker` runs the tests, and
`extract` and `behaviour` are what the checker needs to find the program in a text and to say how it acts.
"""
