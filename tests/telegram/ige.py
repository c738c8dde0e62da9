"""AES-256 in Telegram's IGE mode, on the machine's AES instructions.

With c for ciphertext, p for plaintext blocks and c[0], p[0] from the IV:  c[i] = E(p[i] ^ c[i-1]) ^ p[i-1].
"""

from __future__ import annotations

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

BLOCK = 16


def xor(one: bytes, other: bytes) -> bytes:
    """Of two equally long strings."""
    return (int.from_bytes(one) ^ int.from_bytes(other)).to_bytes(len(one))


def encrypt(data: bytes, key: bytes, iv: bytes) -> bytes:
    """Of whole blocks. With d[i] = c[i] ^ p[i-1] the mode is CBC over p[i] ^ p[i-2], so no block is handled alone."""
    first_cipher, first_plain = iv[:BLOCK], iv[BLOCK:]
    before = (first_plain + data)[: len(data)]
    two_before = (bytes(BLOCK) + before)[: len(data)]
    cbc = Cipher(algorithms.AES(key), modes.CBC(first_cipher)).encryptor()
    return xor(cbc.update(xor(data, two_before)) + cbc.finalize(), before)


def decrypt(data: bytes, key: bytes, iv: bytes) -> bytes:
    """Block by block: each needs the plaintext before it."""
    block_cipher = Cipher(algorithms.AES(key), modes.ECB()).decryptor()
    cipher, plain = int.from_bytes(iv[:BLOCK]), int.from_bytes(iv[BLOCK:])
    made = bytearray()
    for at in range(0, len(data), BLOCK):
        block = int.from_bytes(data[at : at + BLOCK])
        plain = int.from_bytes(block_cipher.update((block ^ plain).to_bytes(BLOCK))) ^ cipher
        cipher = block
        made += plain.to_bytes(BLOCK)
    return bytes(made)
