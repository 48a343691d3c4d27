"""The two halves of a Gemma-3: the language model, and a vision tower with its projector."""


def is_vision(name: str) -> bool:
    """Whether a parameter of this name is the tower's or the projector's."""
    return "vision" in name or "multi_modal" in name
