"""Models behind HTTP: any OpenAI-compatible endpoint, and Azure's.

One job a file: `model` is the backend and the life of one call; `address` where and with which key; `wire` what
is sent and what is made of the answer; `reasoning` the hidden part of a reply; `faults` what a failure means;
`door` how many calls are in flight, and when none may be; `pool` what several models of one endpoint share.
"""

from docendo.models.endpoint.model import EndpointModel
from docendo.models.endpoint.pool import Endpoints

__all__ = ["EndpointModel", "Endpoints"]
