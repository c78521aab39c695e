"""Download registered weights: bounded, checked, and under their name only when whole."""

from __future__ import annotations

import hashlib
import http.client
import os
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

from pipeline import weights
from pipeline.errors import UserError

MAX_BYTES = 2 << 30
CHUNK_BYTES = 1 << 20
TIMEOUT_S = 30.0


def fetch(
    name: str,
    *,
    allow_noncommercial: bool,
    report: Callable[[int, int], None] = lambda done, total: None,
    max_bytes: int = MAX_BYTES,
) -> Path:
    """Download a set's file unless it is there.

    Parameters
    ----------
    name
        A registered set with an address.
    allow_noncommercial
        Whether weights that forbid commercial use are wanted.
    report
        Gets megabytes done and in all; 0 in all where the server does not say.
    max_bytes
        A longer answer is given up.

    Returns
    -------
    Path
        The file, verified against the registered hash; where none is registered, its hash is recorded beside it.

    Raises
    ------
    UserError
        Unknown name, nothing to download, a licence the settings refuse, an altered file in the way, no network, an
        answer that is too long, too short or of another hash, or a folder that cannot be written.
    """
    entry = weights.get(name)
    if not entry.is_brought:
        raise UserError(f"weights '{name}' need no download: they come with {entry.source}")
    if not entry.commercial_use and not allow_noncommercial:
        raise UserError(
            f"weights '{name}' forbid commercial use and weights.allow_noncommercial is false in params.yaml"
        )
    file = entry.files[0]
    target = entry.folder / file.path
    what, problem = weights.state(entry)
    if what == "ok":
        return target
    if what == "altered":
        raise UserError(f"{problem}: remove {target} to fetch it again")
    if not entry.url:
        raise UserError(f"weights '{name}' have no address to fetch them from: {weights.how_to_bring(entry)}")
    temporary = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        sha256 = _download(entry.url, temporary, report, max_bytes)
        if not file.has_hash(sha256):
            raise UserError(f"{entry.url} is not the registered file: its SHA-256 is {sha256}, not {file.sha256}")
        weights.record_sha256(target, sha256)
        temporary.replace(target)
    except (urllib.error.URLError, http.client.HTTPException, TimeoutError, ConnectionError) as error:
        raise UserError(
            f"cannot download {entry.url} ({getattr(error, 'reason', error)}): get it on another machine "
            f"and put it at {target}"
        ) from error
    except OSError as error:
        raise UserError(f"cannot write {target}: {error.strerror}") from error
    finally:
        if temporary.parent.is_dir():
            temporary.unlink(missing_ok=True)
    return target


def _download(url: str, path: Path, report: Callable[[int, int], None], max_bytes: int) -> str:
    """Write the answer to ``path`` and give its SHA-256."""
    digest, n_done = hashlib.sha256(), 0
    request = urllib.request.Request(url, headers={"User-Agent": "latentforensics"})
    with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer, path.open("wb") as out:
        n_total = int(answer.headers.get("Content-Length") or 0)
        if n_total > max_bytes:
            raise UserError(f"{url} has {n_total:,} bytes, more than the {max_bytes:,} that are fetched")
        while chunk := answer.read(CHUNK_BYTES):
            n_done += len(chunk)
            if n_done > max_bytes:
                raise UserError(f"{url} has more than the {max_bytes:,} bytes that are fetched")
            digest.update(chunk)
            out.write(chunk)
            report(n_done >> 20, n_total >> 20)
    if n_done < n_total or not n_done:
        raise UserError(f"{url} broke off after {n_done:,} of {n_total:,} bytes: try again")
    return digest.hexdigest()
