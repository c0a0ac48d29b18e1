"""What sandboxes are called, for those who only need to name one."""

NAMES = ("bubblewrap", "docker", "podman")
"""Real sandboxes, the preferred first."""

UNSAFE = "run-untrusted-code-without-sandbox"
"""No sandbox at all; a name that nobody types by accident."""
