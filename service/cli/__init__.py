"""The `rbr` command. One file a subcommand; this one assembles them and turns errors into one clear line."""

from __future__ import annotations

import sys

import typer

from models.errors import PolicyError, RBRError
from service.cli import corpus, distill, fit, policy, score, serve

app = typer.Typer(
    name="rbr",
    help="Rule-based rewards for reinforcement learning of language models.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
app.command("serve")(serve.serve)
app.command("score")(score.score)
app.command("fit")(fit.fit)
app.command("distill")(distill.distill)
app.command("corpus")(corpus.corpus)
app.add_typer(policy.app, name="policy")


def main() -> None:
    """Run the command; a deliberate error becomes one line (a policy's problems one line each) and exit status 1."""
    try:
        app()
    except PolicyError as error:
        sys.exit("\n".join([f"rbr: {error}", *(f"  {problem}" for problem in error.problems)]))
    except (RBRError, OSError) as error:
        sys.exit(f"rbr: {error}")
