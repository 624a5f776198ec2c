"""Runs a command beside stores that are like those of the clouds: moto's S3, and Azurite's Azure. They end with it.

    tests/servers.py cargo test --lib store::

`TASKLOOM_TEST_STORES` names a bucket of each with its settings; tests that find it there ask of them what they ask of every store.
"""

import hashlib
import hmac
import os
import re
import subprocess
import sys
import tempfile
import time
import urllib.request
from base64 import b64decode, b64encode
from email.utils import formatdate
from pathlib import Path

REPOSITORY = Path(__file__).parents[1]
AZURITE = REPOSITORY / os.environ.get("TASKLOOM_AZURITE", ".azurite") / "node_modules/.bin/azurite-blob"
# Azurite's own, which everybody knows.
ACCOUNT = "devstoreaccount1"
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="


def start(folder, name, command, pattern):
    """Starts a server and waits until it says where it is."""
    log = Path(folder) / name
    server = subprocess.Popen(command, stdout=log.open("w"), stderr=subprocess.STDOUT, cwd=folder)
    until = time.monotonic() + 60
    while not (found := re.search(pattern, log.read_text())):
        if server.poll() is not None or time.monotonic() > until:
            sys.exit(f"tests/servers.py: {name} does not start: {log.read_text()}")
        time.sleep(0.05)
    return server, found[1]


def make_container(endpoint, name):
    """Makes a container, which the client of the store does not."""
    date = formatdate(usegmt=True)
    headers = f"x-ms-date:{date}\nx-ms-version:2021-08-06\n"
    # The account stands twice: once as the name, once in the path of an emulator.
    signed = f"PUT\n\n\n\n\n\n\n\n\n\n\n\n{headers}/{ACCOUNT}/{ACCOUNT}/{name}\nrestype:container"
    signature = b64encode(hmac.digest(b64decode(KEY), signed.encode(), hashlib.sha256)).decode()
    request = urllib.request.Request(f"{endpoint}/{ACCOUNT}/{name}?restype=container", method="PUT")
    for key, value in [("x-ms-date", date), ("x-ms-version", "2021-08-06"), ("Content-Length", "0")]:
        request.add_header(key, value)
    request.add_header("Authorization", f"SharedKey {ACCOUNT}:{signature}")
    urllib.request.urlopen(request, timeout=60)


def main(command):
    moto = Path(sys.executable).parent / "moto_server"
    for needed in [moto, AZURITE]:
        if not needed.exists():
            sys.exit(f"tests/servers.py: expected {needed}: `make test` installs it")
    with tempfile.TemporaryDirectory() as folder:
        servers = []
        try:
            server, s3 = start(folder, "moto", [moto, "-p", "0"], r"Running on (http://[\d.:]+)")
            servers.append(server)
            azurite = [AZURITE, "--blobPort", "0", "--inMemoryPersistence", "--skipApiVersionCheck"]
            server, azure = start(folder, "azurite", azurite, r"successfully listens on (http://[\d.:]+)")
            servers.append(server)
            urllib.request.urlopen(urllib.request.Request(f"{s3}/bucket", method="PUT"), timeout=60)
            make_container(azure, "container")
            stores = [
                f"s3://bucket/a/place endpoint={s3} allow_http=true region=us-east-1 access_key_id=key secret_access_key=secret",
                f"az://container/a/place use_emulator=true allow_http=true account_name={ACCOUNT} account_key={KEY}",
            ]
            found_by = {"TASKLOOM_TEST_STORES": "\n".join(stores), "AZURITE_BLOB_STORAGE_URL": azure}
            return subprocess.run(command, env=os.environ | found_by).returncode
        finally:
            for server in servers:
                server.kill()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
