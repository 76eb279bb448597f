"""The table of `domain.eligibility` as SQL. It decides nothing: it spells the same rules for the database."""

from orderctl.domain.eligibility import Mode, Rule, rules_for


def refusal_sql(mode: Mode) -> str:
    """An expression over a row of `orders`: the code of the first rule that applies, or NULL if none does."""
    cases = " ".join(f"WHEN {_condition(rule)} THEN '{rule.code}'" for rule in rules_for(mode))
    return f"CASE {cases} END"


def eligible_sql(mode: Mode) -> str:
    """A condition over a row of `orders`: no rule applies. It guards the `UPDATE`."""
    return " AND ".join(f"NOT ({_condition(rule)})" for rule in rules_for(mode))


def _condition(rule: Rule) -> str:
    if rule.status is not None:
        return f"status = '{rule.status}'"
    return f"{rule.counted} > 0"
