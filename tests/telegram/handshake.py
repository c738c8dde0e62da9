"""How a client and the server agree on an auth key: req_pq_multi, req_DH_params, set_client_DH_params."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from hashlib import sha1
from io import BytesIO
from typing import Any

from pyrogram import raw
from pyrogram.crypto.prime import CURRENT_DH_PRIME
from pyrogram.raw.core import TLObject

from tests.telegram import ige
from tests.telegram.keys import ServerKey

P, Q = 1_000_003, 1_000_033  # small primes: a client's proof of work is not what is tested
GENERATOR = 3
DH_SIZE = 256


class Handshake:
    """One client's way to an auth key. `keep` is handed the key when both sides have it."""

    def __init__(self, key: ServerKey, keep: Callable[[bytes], None]) -> None:
        self._key = key
        self._keep = keep
        self._server_nonce = os.urandom(16)
        self._new_nonce = b""
        self._secret = int.from_bytes(os.urandom(DH_SIZE))
        self._answers: dict[type, Callable[[Any], TLObject]] = {
            raw.functions.ReqPqMulti: self._challenge,
            raw.functions.ReqDHParams: self._offer,
            raw.functions.SetClientDHParams: self._agree,
        }
        if older := getattr(raw.functions, "ReqPq", None):
            self._answers[older] = self._challenge

    def answer(self, request: TLObject) -> TLObject | None:
        """To one unencrypted request; None to what is no part of a handshake."""
        answer = self._answers.get(type(request))
        return answer(request) if answer else None

    def _challenge(self, request: Any) -> TLObject:
        return raw.types.ResPQ(
            nonce=request.nonce,
            server_nonce=_signed(self._server_nonce),
            pq=(P * Q).to_bytes(8),
            server_public_key_fingerprints=[self._key.fingerprint],
        )

    def _offer(self, request: Any) -> TLObject:
        inner = TLObject.read(BytesIO(self._key.decrypt(request.encrypted_data)[20:]))
        self._new_nonce = inner.new_nonce.to_bytes(32, "little", signed=True)
        offer = raw.types.ServerDHInnerData(
            nonce=request.nonce,
            server_nonce=_signed(self._server_nonce),
            g=GENERATOR,
            dh_prime=CURRENT_DH_PRIME.to_bytes(DH_SIZE),
            g_a=pow(GENERATOR, self._secret, CURRENT_DH_PRIME).to_bytes(DH_SIZE),
            server_time=int(time.time()),  # not the server's adjustable clock: clients number messages by it
        ).write()
        hashed = sha1(offer).digest() + offer
        return raw.types.ServerDHParamsOk(
            nonce=request.nonce,
            server_nonce=_signed(self._server_nonce),
            encrypted_answer=ige.encrypt(hashed + os.urandom(-len(hashed) % 16), *self._temporary()),
        )

    def _agree(self, request: Any) -> TLObject:
        inner = TLObject.read(BytesIO(ige.decrypt(request.encrypted_data, *self._temporary())[20:]))
        auth_key = pow(int.from_bytes(inner.g_b), self._secret, CURRENT_DH_PRIME).to_bytes(DH_SIZE)
        self._keep(auth_key)
        proof = sha1(self._new_nonce + b"\x01" + sha1(auth_key).digest()[:8]).digest()[-16:]
        return raw.types.DhGenOk(
            nonce=request.nonce, server_nonce=_signed(self._server_nonce), new_nonce_hash1=_signed(proof)
        )

    def _temporary(self) -> tuple[bytes, bytes]:
        new, server = self._new_nonce, self._server_nonce
        mixed = sha1(server + new).digest()
        key = sha1(new + server).digest() + mixed[:12]
        return key, mixed[12:] + sha1(new + new).digest() + new[:4]


def _signed(number: bytes) -> int:
    return int.from_bytes(number, "little", signed=True)
