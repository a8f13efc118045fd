# PyJWT, asked over standard input: a line `ALGORITHM MILLISECONDS` is answered with the tokens verified per second. The
# first argument is the file that `bench-verify prepare` wrote.
import json
import sys
from time import perf_counter

import jwt

with open(sys.argv[1]) as file:
    task = json.load(file)


def verifier(algorithm):
    case = task["algorithms"][algorithm]
    key = task["secret"] if case["jwk"] is None else jwt.PyJWK(case["jwk"], algorithm).key
    token = case["token"]
    checks = {
        "algorithms": [algorithm],
        "issuer": task["issuer"],
        "audience": task["audience"],
        "options": {"require": ["exp", "iss", "aud"]},
    }
    return lambda: jwt.decode(token, key, **checks)


for line in sys.stdin:
    algorithm, milliseconds = line.split()
    verify = verifier(algorithm)
    assert verify()["aud"] == task["audience"]
    count, begun = 0, perf_counter()
    end = begun + int(milliseconds) / 1000
    while perf_counter() < end:
        for _ in range(20):
            verify()
        count += 20
    print(count / (perf_counter() - begun), flush=True)
