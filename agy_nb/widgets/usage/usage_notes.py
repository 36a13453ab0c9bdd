"""Render the notes below the table of usage: missing tokens and prices, and context sizes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from agy_nb.protocol.amounts import counted
from agy_nb.widgets.markdown.markup import escape
from agy_nb.widgets.usage.usage_table import Context, UsageData

_WHY = {
    "unknown_model": "no price for {model}",
    "unknown_alias": "no price for {model}, because its model on that day is not known",
    "unknown_tier": "no price for the service tier of {model}",
    "unknown_usage": "{model} did not report all tokens",
    "invalid_usage": "{model} reported usage that cannot be priced",
    "no_price_table": "no price table for {model}",
}
_INSTALL = "Install the price table with <code>pip install 'agy-nb[cost]'</code>."
_SET = (
    "Set prices with <code>agy.analysis.Prices({})</code>: pass it as <code>prices=</code> to "
    "<code>agy.RuntimeConfig</code> or <code>agy.load</code>."
)
_OWN = 'own={{"{model}": (input, cached, output)}}'
_WHAT_TO_DO = {
    "unknown_model": _SET.format(_OWN),
    "unknown_alias": _SET.format('aliases={{"{model}": "name in the table"}}'),
    "unknown_tier": _SET.format('tiers={{"tier": factor}}'),
    "no_price_table": _INSTALL,
}
"""What to do about a missing price, with one model as the example."""


def notes(usage: UsageData) -> str:
    """Render notes on missing tokens and prices; empty if there are none."""
    total, said = usage.total, []
    if total is None:
        return "<p>No usage yet.</p>"
    if total["n_usage_unknown"]:
        calls = counted(int(total["n_usage_unknown"]), "request")
        said.append(f"Tokens unknown for {calls} that did not report them.")
    for status in dict.fromkeys(status for status, _ in usage.unpriced):
        said += _without_price(status, [model for each, model in usage.unpriced if each == status])
    return "".join(f"<p class='agy-dim'>{line}</p>" for line in said)


def _without_price(status: str, models: Sequence[str]) -> Iterator[str]:
    """Name the models without a price, and add once what to do."""
    named = [escape(model) for model in models]
    why = _WHY.get(status, f"{status} ({{model}})")
    words = ", ".join(each or "a model without a name" for each in named)
    remedy = _WHAT_TO_DO.get(status, "").format(model=named[0] or "name")
    yield f"Cost incomplete: {why.format(model=words)}. {remedy}".rstrip()


def contexts(usage: UsageData) -> str:
    """Render the context sizes at the latest model calls."""
    return "".join(map(_context, usage.contexts[-_MOST_CONTEXTS:]))


_MOST_CONTEXTS = 12


def _context(context: Context) -> str:
    model = escape(context.model or "unknown model")
    where = f" of {escape(context.session)}" if context.session else ""
    who = f"Context of agent {context.agent_id}{where}: {context.tokens:,}"
    if context.limit is None:
        return f"<p class='agy-context'>{who} tokens (limit of {model} unknown)</p>"
    share = context.tokens / context.limit
    words = f"{who} of {context.limit:,} tokens ({share:.1%}, {model})"
    return (
        f"<p class='agy-context'>{words} "
        f"<meter min='0' max='1' high='0.8' value='{min(share, 1):.4f}' aria-label='{words}'>"
        "</meter></p>"
    )
