"""Our AES-IGE and Pyrogram's say the same."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from pyrogram.crypto import aes

from bot.mtproto.fast_aes import ige256_decrypt, ige256_encrypt


@given(
    st.integers(1, 40), st.binary(min_size=32, max_size=32), st.binary(min_size=32, max_size=32), st.randoms()
)
def test_it_encrypts_as_pyrogram_does_and_decrypts_what_it_encrypted(blocks, key, iv, random):
    data = random.randbytes(16 * blocks)

    encrypted = ige256_encrypt(data, key, iv)

    assert encrypted == aes.ige(data, key, iv, True)
    assert ige256_decrypt(encrypted, key, iv) == aes.ige(encrypted, key, iv, False) == data
