"""Draws, runs and judges cases in one process, and prints a line of JSON for each."""

import collections
import json
import sys

import numpy as np

import drawing
import judging
from describe import save
from runner import Runner


def run(case, model, expected, runner, dropped=None, claims=None):
    """Runs a case: (verdict, reason, answer)."""
    answer = runner.run(model.SerializeToString(), case.feeds, dropped, claims)
    if answer.result != "answered":
        return answer.result, f"{answer.stage}: {answer.why}", answer
    found = [answer.outputs[name] for name in case.outputs if name in answer.outputs]
    verdict, why = judging.judge(case, model, case.feeds, expected, found)
    return verdict, why, answer


def row_of(job, case, verdict, why, answer):
    return {
        "job": job, "operator": case.operator, "domain": case.domain, "version": case.version, "opset": case.opset,
        "verdict": verdict, "why": why[:400], "stage": answer.stage, "claims": answer.claims,
        "marks": sorted(case.marks), "size": case.size(),
        "operators": sorted({node.op_type for node in case.nodes}),
    }


def work(jobs, settings):
    """Prints, for each job, the line that it begins and the line of its result."""
    runner = Runner(settings["runner"], settings["runtime"], settings["claims"], settings["rewrite"])
    refusals = drawing.Refusals()
    # Versions of operators that the oracle computes, or not: not drawn again and again.
    drawn_of, undrawn_of = set(), collections.Counter()
    for place, job in jobs:
        seed, number, operator, version = job
        print(json.dumps({"begin": place}), flush=True)
        key = (operator, version)
        if operator and key not in drawn_of and undrawn_of[key] >= 3:
            print(json.dumps({"place": place, "job": job, "operator": operator, "version": version, "verdict": "undrawn"}), flush=True)
            continue
        choice = drawing.targets([operator] if operator else None, tuple(settings["domains"]))
        drawn = drawing.draw_case(seed, number, choice, 0 if operator else settings["graphs"], version,
                                  settings.get("small", False), refusals)
        if drawn is None:
            undrawn_of[key] += 1
            print(json.dumps({"place": place, "job": job, "operator": operator, "version": version, "verdict": "undrawn"}), flush=True)
            continue
        drawn_of.add(key)
        case, model, expected = drawn
        verdict, why, answer = run(case, model, expected, runner)
        row = row_of(job, case, verdict, why, answer)
        if verdict in settings["kept"] and settings["failures"]:
            row["saved"] = save(settings["failures"], job, case, model, expected, answer, verdict, why)
        print(json.dumps({"place": place, **row}), flush=True)
    counts = [[*key, count] for key, count in refusals.counts.items()]
    print(json.dumps({"refusals": counts, "redrawn": sum(refusals.counts.values())}), flush=True)
    runner.stop()


if __name__ == "__main__":
    np.seterr(all="ignore")
    request = json.loads(sys.stdin.readline())
    work(request["jobs"], request["settings"])
