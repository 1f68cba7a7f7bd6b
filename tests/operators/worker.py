"""Draws, runs and judges cases in one process, and prints a line of JSON for each."""

import collections
import json
import sys

import numpy as np

import drawing
import judging
import oracle
from describe import case_text, save
from runner import Answer, Runner


# Errors of cases without a condition, after which a wrong answer is no longer looked for.
ENOUGH_ERRORS = 40


def run(case, model, expected, runner, dropped=None, rewrite=None):
    """Runs a case: (verdict, reason, answer)."""
    answer = runner.run(model.SerializeToString(), case.feeds, dropped, rewrite=rewrite)
    if answer.result != "answered":
        verdict = "unclaimed" if is_unclaimed(answer) else answer.result
        return verdict, f"{answer.stage}: {answer.why}", answer
    found = [answer.outputs[name] for name in case.outputs if name in answer.outputs]
    verdict, why = judging.judge(case, model, case.feeds, expected, found)
    if verdict == "wrong" and runner.runtime != "rten" and is_optimised(model, case, found):
        return "disputed", f"ONNX Runtime's optimisations: {why}", answer
    return verdict, why, answer


def is_optimised(model, case, found):
    """Whether ONNX Runtime's Python gives the same answer with its optimisations."""
    try:
        optimised = oracle.onnxruntime_answer(model, case.feeds, True)
    except oracle.Refused:
        return False
    return judging.difference(found, optimised) is None


def is_unclaimed(answer):
    return answer.result == "refused" and answer.stage == "claims"


def row_of(job, case, verdict, why, answer):
    return {
        "job": job,
        "operator": case.operator,
        "domain": case.domain,
        "version": case.version,
        "opset": case.opset,
        "verdict": verdict,
        "why": why[:400],
        "stage": answer.stage,
        "claims": answer.claims,
        "marks": sorted(case.marks),
        "size": case.size(),
        "operators": sorted({node.op_type for node in case.nodes}),
    }


class Bench:
    """The state of a worker: its runner, and the versions that the oracle does not compute."""

    def __init__(self, settings):
        self.settings = settings
        self.runner = Runner(
            settings["runner"], settings["runtime"], settings["claims"], settings["rewrite"]
        )
        self.refusals = drawing.Refusals()
        self.drawn, self.undrawn = set(), collections.Counter()
        # Conditions of claims that no case has needed so far, by operator.
        self.conditions = {name: set(of) for name, of in settings.get("conditions", {}).items()}
        self.errors = collections.Counter()

    def draw(self, job):
        """The case of a job, or None."""
        seed, number, operator, version = job
        key = (operator, version)
        # An operator's version without a kernel is not drawn again and again.
        if operator and key not in self.drawn and self.undrawn[key] >= 3:
            return None
        choice = drawing.targets([operator] if operator else None, tuple(self.settings["domains"]))
        graphs = 0 if operator else self.settings["graphs"]
        drawn = drawing.draw_case(
            seed,
            number,
            choice,
            graphs,
            version,
            self.settings["small"],
            self.refusals,
            with_reference=self.settings["mode"] == "mutate",
        )
        if drawn is None:
            self.undrawn[key] += 1
        else:
            self.drawn.add(key)
        return drawn

    def compare(self, job):
        """The rows of a job: the verdict of one case."""
        drawn = self.draw(job)
        if drawn is None:
            return [{"job": job, "operator": job[2], "version": job[3], "verdict": "undrawn"}]
        case, model, expected = drawn
        verdict, why, answer = run(case, model, expected, self.runner)
        row = row_of(job, case, verdict, why, answer)
        if verdict in self.settings["kept"] and self.settings["failures"]:
            row["saved"] = save(
                self.settings["failures"], job, case, model, expected, answer, verdict, why
            )
        return [row]

    def cover(self, job):
        """The rows of a job: also one for a node that has a claim, and is replaced all the same."""
        drawn = self.draw(job)
        if drawn is None:
            return [{"job": job, "operator": job[2], "version": job[3], "verdict": "undrawn"}]
        lines = set(self.settings["lines"][job[2]])
        rows = []
        for rewrite in (True, False):
            verdict, why, answer = run(*drawn, self.runner, rewrite=rewrite)
            rows.append(row_of(job, drawn[0], verdict, why, answer))
            if verdict != "right" or lines & set(answer.claims):
                break
        return rows

    def check_oracle(self, job):
        """The rows of a job: whether optimisations and `onnx.reference` change the answer."""
        drawn = self.draw(job)
        if drawn is None:
            return []
        case, model, expected = drawn
        rows = []
        for name, compute in (
            ("optimised", lambda: oracle.onnxruntime_answer(model, case.feeds, True)),
            ("reference", lambda: oracle.reference_answer(model, case.feeds)),
        ):
            if name == "reference" and not case.newest:
                continue
            try:
                verdict, why = judging.judge(case, model, case.feeds, expected, compute(), False)
            except oracle.Refused as error:
                verdict, why = "none", str(error)
            rows.append(
                {
                    **row_of(job, case, f"{name} {verdict}", why, Answer("answered")),
                    "text": case_text(case)[:600],
                }
            )
        return rows

    def mutate(self, job):
        """The rows of a job: the conditions without which a refused case would be answered."""
        left = self.conditions.get(job[2], set())
        drawn = self.draw(job) if left else None
        if drawn is None:
            return []
        case, model, _ = drawn
        rows = []
        # Where nodes are replaced, a replacement can hide the answer without the condition.
        for rewrite in (False, True):
            whole = self.runner.run(model.SerializeToString(), case.feeds, rewrite=rewrite)
            if not is_unclaimed(whole):
                continue
            for condition in sorted(left):
                row = self.without(condition, job, drawn, rewrite)
                if row:
                    rows.append(row)
        return rows

    def without(self, condition, job, drawn, rewrite):
        """The row of a case without a condition, or None if another condition refuses it."""
        case, model, expected = drawn
        verdict, why, answer = run(case, model, expected, self.runner, condition, rewrite)
        if verdict == "unclaimed":
            return None
        self.errors[condition] += verdict in ("failed", "refused")
        enough = self.errors[condition] >= ENOUGH_ERRORS
        if enough or verdict in ("wrong", "panicked", "crashed", "hung"):
            self.conditions[job[2]].discard(condition)
        return {
            **row_of(job, case, verdict, why, answer),
            "condition": condition,
            "rewrite": rewrite,
        }


def work(jobs, settings):
    """Prints, for each job, the line that it begins and the lines of its results."""
    bench = Bench(settings)
    modes = {
        "compare": bench.compare,
        "cover": bench.cover,
        "mutate": bench.mutate,
        "oracle": bench.check_oracle,
    }
    for place, job in jobs:
        print(json.dumps({"begin": place}), flush=True)
        rows = modes[settings["mode"]](job)
        for row in rows:
            print(json.dumps(row), flush=True)
        print(json.dumps({"end": place}), flush=True)
    counts = [[*key, count] for key, count in bench.refusals.counts.items()]
    print(
        json.dumps({"refusals": counts, "redrawn": sum(bench.refusals.counts.values())}), flush=True
    )
    bench.runner.stop()


if __name__ == "__main__":
    np.seterr(all="ignore")
    request = json.loads(sys.stdin.readline())
    work(request["jobs"], request["settings"])
