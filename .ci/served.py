"""A server of `clarity` for the checks of this directory, on a free port of loopback."""

import http.client
import json
import subprocess
import time


class Server:
    def __init__(self, binary, folder, *options):
        self.process = subprocess.Popen(
            [binary, "serve", "--models", folder, "--listen", "127.0.0.1:0", "--drain-delay", "0s", *options], stdout=subprocess.PIPE, text=True
        )
        line = self.process.stdout.readline()
        assert line.startswith("listening on http://"), line
        self.address = line.strip().removeprefix("listening on http://")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        assert self.process.wait(timeout=30) == 0, "the server did not end well"

    def request(self, method, path, body=None):
        connection = http.client.HTTPConnection(self.address, timeout=60)
        connection.request(method, path, body and json.dumps(body), {"content-type": "application/json"} if body else {})
        response = connection.getresponse()
        return response, response.read()

    def wait_for(self, method, path, status, body=None, reason=None):
        """Asks until the answer has this status and reason; loading happens beside the answering."""
        for _ in range(600):
            response, text = self.request(method, path, body)
            if response.status == status and (reason is None or json.loads(text)["reason"] == reason):
                return response, text
            time.sleep(0.1)
        raise AssertionError(f"{method} {path}: expected {status}, found {response.status} {text[:500]}")


def post(address, path, body, json_length=None, headers=()):
    """Posts these bytes, and returns the response and its body. `json_length` is that of a body with binary tensors."""
    connection = http.client.HTTPConnection(address, timeout=60)
    length = {} if json_length is None else {"Inference-Header-Content-Length": str(json_length)}
    connection.request("POST", path, body, {**length, **dict(headers)})
    response = connection.getresponse()
    return response, response.read()
