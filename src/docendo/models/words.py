"""Prompts as a Hugging Face tokenizer reads them: texts, and chats by the model's own template.

For models that run in this process; endpoints do this for themselves.
"""

from __future__ import annotations

from typing import Any

from docendo.errors import ModelError
from docendo.types import Prompt

_THINKING = "<think>"


class Words:
    """One model's tokenizer.

    Args:
        tokenizer: of transformers.
        name: of the model, for messages.
    """

    def __init__(self, tokenizer: Any, name: str) -> None:
        self.tokenizer = tokenizer
        self._name = name
        self._folds = False

    @property
    def chats(self) -> bool:
        """Whether the model has a template for chats."""
        return bool(self.tokenizer.chat_template)

    def text_of(self, prompt: Prompt) -> str:
        """What the model reads: a text as it is, a chat written out by the template.

        A chat that ends with the assistant's words is left open, to be gone on with. Where a template has no place
        for a system's turn, its words open the user's first.

        Raises:
            ModelError: the model has no template, or its template refuses the chat.
        """
        if isinstance(prompt, str):
            return prompt
        if not self.chats:
            raise ModelError(
                f"{self._name}: has no chat template, so it cannot chat; set its mode to completion"
            )
        turns = [{"role": role, "content": text} for role, text in prompt]
        try:
            return self._written(_folded(turns) if self._folds else turns)
        except Exception as error:  # templates raise whatever they like
            if self._folds or turns[0]["role"] != "system":
                raise ModelError(f"{self._name}: its chat template refuses the prompt ({error})") from error
        self._folds = True
        return self.text_of(prompt)

    def _written(self, turns: list[dict[str, str]]) -> str:
        goes_on = turns[-1]["role"] == "assistant"
        text: str = self.tokenizer.apply_chat_template(
            turns, tokenize=False, add_generation_prompt=not goes_on, continue_final_message=goes_on
        )
        return text

    def ids_of(self, prompt: Prompt) -> list[int]:
        """Token ids of a prompt; those that begin a text are added, and a template writes its own."""
        begin = isinstance(prompt, str)
        ids: list[int] = self.tokenizer(self.text_of(prompt), add_special_tokens=begin)["input_ids"]
        return ids

    def pair_of(self, prompt: Prompt, continuation: str) -> tuple[list[int], list[int]]:
        """Token ids of a prompt and of what continues it, cut where the model itself would cut the whole text."""
        first = self.ids_of(prompt)
        whole: list[int] = self.tokenizer(
            self.text_of(prompt) + continuation, add_special_tokens=isinstance(prompt, str)
        )["input_ids"]
        if whole[: len(first)] == first and len(whole) > len(first):
            return first, whole[len(first) :]
        alone: list[int] = self.tokenizer(continuation, add_special_tokens=False)["input_ids"]
        return first, alone

    def thinking(self, prompt: Prompt) -> str:
        """The tag that opens a thought, where the template wrote it for the model, else nothing.

        It belongs before the reply: one that is cut while it still thinks would else look like an answer.
        """
        thinks = not isinstance(prompt, str) and self.text_of(prompt).rstrip().endswith(_THINKING)
        return _THINKING if thinks else ""


def _folded(turns: list[dict[str, str]]) -> list[dict[str, str]]:
    system, first, *rest = turns
    return [{"role": first["role"], "content": f"{system['content']}\n\n{first['content']}"}, *rest]
