"""What runs inside the sandbox: plain Python of the standard library, sent in as source, importing nothing of docendo.

`wire` carries values between processes as data, `runner` runs the program under test, `checker` runs the tests, which
see the program through `link`; `extract` and `behaviour` find the program in a text and say how it acts.
"""
