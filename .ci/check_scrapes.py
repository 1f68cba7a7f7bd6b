"""check_scrapes.py BINARY NAME=FILE: the metrics of a server, as Prometheus, `promtool` and Prometheus' Python library read them.

`prometheus` and `promtool` are looked for in PATH; a check without its program is left out by name.
"""

import contextlib
import http.client
import json
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from urllib.parse import urlencode

from prometheus_client.openmetrics.parser import text_string_to_metric_families as read_openmetrics
from prometheus_client.parser import text_string_to_metric_families as read_prometheus

import served

LIMIT = 60
OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"
PROMETHEUS = "text/plain; version=0.0.4; charset=utf-8"
REQUEST = json.dumps({"inputs": [{"name": "activity", "shape": [1, 7], "datatype": "FP32", "data": [0, 0, 12, 310, 280, 5, 0]}]})

binary, model = sys.argv[1:]
name, _, file = model.partition("=")
promtool, prometheus = shutil.which("promtool"), shutil.which("prometheus")


def get(address, path, headers=()):
    connection = http.client.HTTPConnection(address, timeout=10)
    connection.request("GET", path, headers=dict(headers))
    response = connection.getresponse()
    return response, response.read().decode()


def scrape(server, accept=None):
    response, text = get(server.address, "/metrics", {"accept": accept} if accept else {})
    assert response.status == 200, (accept, response.status)
    return response.headers["content-type"], text


def check_formats(server):
    """Each `Accept` gets its format, and both formats have the same series."""
    for accept, expected in [
        (None, PROMETHEUS),
        ("*/*", PROMETHEUS),
        ("application/json", PROMETHEUS),
        ("application/openmetrics-text;q=0.1,text/plain;q=0.2", PROMETHEUS),
        ("application/openmetrics-text;version=1.0.0;q=0.2,text/plain;version=0.0.4;q=0.1,*/*;q=0.05", OPENMETRICS),
    ]:
        found, _ = scrape(server, accept)
        assert found == expected, (accept, found)
    read = {}
    for accept, parse in [("text/plain", read_prometheus), ("application/openmetrics-text", read_openmetrics)]:
        _, text = scrape(server, accept)
        families = list(parse(text))
        assert all(family.documentation and family.type != "unknown" for family in families), text
        read[parse] = {(s.name, *sorted(s.labels.items())) for family in families for s in family.samples}
    assert read[read_prometheus] == read[read_openmetrics], read[read_prometheus] ^ read[read_openmetrics]
    assert ("prediction_success_total", ("model", name)) in read[read_openmetrics]
    print(f"{len(read[read_openmetrics])} series in both formats")


def check_lints(server):
    """`promtool` has nothing to say of the text format; it does not read OpenMetrics, which Prometheus itself reads below."""
    _, text = scrape(server)
    linted = subprocess.run([promtool, "check", "metrics"], input=text, capture_output=True, text=True, timeout=LIMIT)
    assert (linted.returncode, linted.stdout, linted.stderr) == (0, "", ""), linted
    print("promtool check metrics: silent")


@contextlib.contextmanager
def running_prometheus(target, folder):
    """Prometheus on loopback, which scrapes the target each second."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = "127.0.0.1:%d" % free.getsockname()[1]
    config = Path(folder, "prometheus.yml")
    job = {"job_name": "clarity", "scrape_interval": "1s", "scrape_timeout": "1s", "static_configs": [{"targets": [target]}]}
    config.write_text(json.dumps({"scrape_configs": [job]}))
    arguments = [f"--config.file={config}", f"--storage.tsdb.path={folder}/data", f"--web.listen-address={address}"]
    with open(Path(folder, "log"), "w+") as log:
        process = subprocess.Popen([prometheus, *arguments], cwd=folder, stdout=log, stderr=log)
        try:
            yield address, lambda: Path(log.name).read_text()[-3000:]
        finally:
            process.terminate()
            try:
                process.wait(timeout=30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def ask(address, path, **query):
    """An answer of Prometheus' API; nothing until it answers."""
    try:
        response, text = get(address, f"/api/v1/{path}?{urlencode(query)}")
        return json.loads(text)["data"] if response.status == 200 else None
    except OSError:
        return None


def check_scrapes(server):
    with tempfile.TemporaryDirectory() as folder, running_prometheus(server.address, folder) as (address, log):

        def value(series):
            data = ask(address, "query", query=series)
            results = data["result"] if data else []
            assert len(results) <= 1, results
            return float(results[0]["value"][1]) if results else None

        wanted = {
            'up{job="clarity"}': 1,
            f'prediction_success_total{{model="{name}"}}': 3,
            f'prediction_failure_total{{model="{name}",reason="invalid_request"}}': 1,
            f'prediction_duration_seconds_count{{model="{name}"}}': 3,
            f'prediction_duration_seconds_bucket{{model="{name}",le="+Inf"}}': 3,
        }
        found, end = {}, time.monotonic() + LIMIT
        while found != wanted and time.monotonic() < end:
            time.sleep(0.2)
            found = {series: value(series) for series in wanted}
        assert found == wanted, (found, ask(address, "targets"), log())
        [target] = ask(address, "targets")["activeTargets"]
        assert target["health"] == "up" and not target["lastError"], target
        # Only OpenMetrics names the family without the suffix of its sample.
        metadata = ask(address, "metadata", metric="prediction_success")
        assert metadata["prediction_success"][0]["type"] == "counter", metadata
    print(f"Prometheus: up, {len(wanted) - 1} series as counted")


with tempfile.TemporaryDirectory() as folder:
    subprocess.run([binary, "add", name, file, "--models", folder], check=True, timeout=60)
    with served.Server(binary, folder) as server:
        server.wait_for("GET", "/v2/health/ready", 200)
        for body, status in [*[(REQUEST, 200)] * 3, ("{}", 400)]:
            response, text = served.post(server.address, f"/v2/models/{name}/infer", body)
            assert response.status == status, text
        check_formats(server)
        if promtool:
            check_lints(server)
        else:
            print("NOT CHECKED: promtool is silent; there is no promtool")
        if prometheus:
            check_scrapes(server)
        else:
            print("NOT CHECKED: Prometheus scrapes the server; there is no prometheus")
