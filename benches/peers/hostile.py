"""Reads one message with Python's email package, all of it, and says what that took."""
import email
import email.policy
import resource
import sys
import time

before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
begin = time.perf_counter()
refused = ""
try:
    with open(sys.argv[1], "rb") as file:
        message = email.message_from_binary_file(file, policy=email.policy.default)
    for part in message.walk():
        for name, value in part.items():
            str(value)
        part.get_filename()
        if not part.is_multipart():
            part.get_payload(decode=True)
            if part.get_content_maintype() == "text":
                part.get_content()
except Exception as error:
    refused = f" (raises `{type(error).__name__}`)"
took = (time.perf_counter() - begin) * 1000
memory = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024
print(f"{took:.0f} ms, {memory // 1_000_000} MB{refused}")
