"""Checks a capture of NASDAQ TotalView-ITCH 5.0 in MoldUDP64 field by field, by a table of its own,
and prints the books at the end, as build/market/feed -b does: found slowly, by looking at all orders.

    python3 tests/itch.py FILE.pcap >BOOKS

Exit status: 0; 1, with a sentence, where something is not as the specifications say."""
import re
import struct
import sys

# After type, locate, tracking number and timestamp. NAME:BYTES is an integer; =... are the characters
# that it may be; a is text, padded with spaces on the right.
FIELDS = {
    "S": "event:1=OSQMEC",
    "R": "stock:8a category:1=QGSNAPZV\\s status:1=DEQSGHJKCN\\s lot:4 lots_only:1=YN"
         " class:1=ABCFILNOPQRSTUVW subtype:2a authenticity:1=PT short:1=YN\\s ipo:1=YN\\s"
         " tier:1=12\\s etp:1=YN\\s leverage:4 inverse:1=YN",
    "H": "stock:8a state:1=HPQT reserved:1=\\s reason:4a",
    "Y": "stock:8a action:1=012",
    "L": "mpid:4a stock:8a primary:1=YN mode:1=NPSRL state:1=AEWSD",
    "V": "level1:8 level2:8 level3:8",
    "W": "level:1=123",
    "K": "stock:8a release:4 qualifier:1=AC price:4",
    "J": "stock:8a reference:4 upper:4 lower:4 extension:4",
    "h": "stock:8a market:1=QBX action:1=HT",
    "A": "order:8 side:1=BS shares:4 stock:8a price:4",
    "F": "order:8 side:1=BS shares:4 stock:8a price:4 mpid:4a",
    "E": "order:8 shares:4 match:8",
    "C": "order:8 shares:4 match:8 printable:1=YN price:4",
    "X": "order:8 shares:4",
    "D": "order:8",
    "U": "order:8 new:8 shares:4 price:4",
    "P": "order:8 side:1=BS shares:4 stock:8a price:4 match:8",
    "Q": "shares:8 stock:8a price:4 match:8 cross:1=OCHI",
    "B": "match:8",
    "I": "paired:8 imbalance:8 direction:1=BSNOP stock:8a far:4 near:4 reference:4 cross:1=OCHA"
         " variation:1=L123456789ABC\\s",
    "N": "stock:8a flag:1=BSAN",
    "O": "stock:8a eligible:1=NY minimum:4 maximum:4 near:4 time:8 lower:4 upper:4",
}
HEAD = "type:1 locate:2 tracking:2 time:6 "
LENGTHS = dict(zip("SRHYLVWKJhAFECXDUPQBINO", (12, 39, 25, 20, 26, 35, 12, 28, 35, 21, 36, 40, 31, 36,
                                               23, 19, 35, 44, 40, 19, 50, 20, 48)))
LAYOUT = {}
for letter, text in FIELDS.items():
    at, LAYOUT[letter] = 0, []
    for field in (HEAD + text).split():
        name, size, kind, values = re.fullmatch(r"(\w+):(\d)(a|=|)(.*)", field).groups()
        LAYOUT[letter].append((name, at, at + int(size), kind, values.replace("\\s", " ")))
        at += int(size)
    assert at == LENGTHS[letter], letter


def need(what, *why):
    if not what:
        sys.exit("FAILED: " + " ".join(str(w) for w in why))


def checksum(words):
    words += b"\0" * (len(words) % 2)
    total = sum(struct.unpack(">%dH" % (len(words) // 2), words))
    while total > 0xFFFF:
        total = (total >> 16) + (total & 0xFFFF)
    return total


def datagrams(path):
    with open(path, "rb") as f:
        data = f.read()
    magic, _, _, _, _, _, link = struct.unpack_from("=IHHiIII", data)
    need(magic == 0xA1B23C4D and link == 1, "not a capture of Ethernet with nanoseconds")
    at, last = 24, 0
    while at < len(data):
        seconds, nanoseconds, kept, length = struct.unpack_from("=IIII", data, at)
        frame = data[at + 16:at + 16 + kept]
        at += 16 + kept
        need(kept == length == len(frame) and nanoseconds < 10**9, "a frame is cut")
        need(seconds * 10**9 + nanoseconds >= last, "time goes back")
        last = seconds * 10**9 + nanoseconds
        ip, udp = frame[14:34], frame[34:]
        need(frame[12:14] == b"\x08\0" and ip[0] == 0x45 and ip[9] == 17, "not UDP over IPv4")
        need(checksum(ip) == 0xFFFF and struct.unpack(">H", ip[2:4])[0] == kept - 14, "IPv4 header")
        need(struct.unpack(">H", udp[4:6])[0] == len(udp), "length of UDP")
        need(checksum(ip[12:20] + struct.pack(">HH", 17, len(udp)) + udp) == 0xFFFF, "checksum of UDP")
        yield udp[8:]


def messages(path):
    following, session, over = 1, None, False
    for d in datagrams(path):
        session = session or d[:10]
        number, count = struct.unpack(">QH", d[10:20])
        need(d[:10] == session and number == following, "sequence", number, "not", following)
        need(not over or count == 0xFFFF, "a message behind the end of the session")
        over, at = count == 0xFFFF, 20
        for _ in range(0 if over else count):
            length = struct.unpack_from(">H", d, at)[0]
            at += 2 + length
            following += 1
            yield d[at - length:at]
        need(at == len(d), "bytes behind the messages")
    need(over, "no end of the session")


def fields(m):
    letter = chr(m[0])
    need(LENGTHS.get(letter) == len(m), "type", letter, "of", len(m), "bytes")
    found = {}
    for name, start, end, kind, values in LAYOUT[letter]:
        raw = m[start:end]
        found[name] = raw.decode() if kind else int.from_bytes(raw, "big")
        if kind == "=":
            need(found[name] in values, letter, name, repr(found[name]))
        elif kind == "a":
            need(re.fullmatch(r"[!-~]* *", found[name]), letter, name, repr(found[name]))
    found["type"] = letter
    return found


def main(path):
    names, orders, trades, time, seen, matches = {}, {}, {}, 0, {}, set()
    for m in map(fields, messages(path)):
        letter, locate = m["type"], m["locate"]
        seen[letter] = seen.get(letter, 0) + 1
        need(time <= m["time"] < 86400 * 10**9, "timestamp")
        time = m["time"]
        stock = m.get("stock")
        if letter == "R":
            names[locate], trades[locate] = stock, [0, 0]
        need(stock in (None, names.get(locate)), letter, "stock", stock, "is not", locate)
        if letter in "AF":
            need(m["order"] not in orders and m["shares"] and m["price"], "order", m)
            orders[m["order"]] = [locate, m["side"], m["price"], m["shares"]]
        if letter in "ECXDU":
            o = orders.get(m["order"])
            need(o and o[0] == locate, "no such order", m)
            shares = m["shares"] if letter in "ECX" else o[3]
            need(0 < shares <= o[3], "shares", m)
            o[3] -= shares
            if o[3] == 0:
                del orders[m["order"]]
            if letter == "U":
                need(m["new"] not in orders and m["shares"] and m["price"], "order", m)
                orders[m["new"]] = o[:2] + [m["price"], m["shares"]]
        if letter in "ECPQ":
            need(m["match"] not in matches, "match", m)
            matches.add(m["match"])
            if m["shares"] and m.get("printable") != "N":
                trades[locate][0] += 1
                trades[locate][1] += m["shares"]
        need(letter != "B" or m["match"] in matches, "a trade that never was is broken")
    for locate in sorted(names):
        best, text = [], ""
        for side, sign in ("B", -1), ("S", 1):
            levels = {}
            for where, way, price, shares in orders.values():
                if (where, way) == (locate, side):
                    total, n = levels.get(price, (0, 0))
                    levels[price] = total + shares, n + 1
            ranked = sorted(levels, key=lambda p: sign * p)
            best += [ranked[0], levels[ranked[0]][0]] if ranked else [0, 0]
            text += " |" + "".join(" %d:%d:%d" % ((p,) + levels[p]) for p in ranked)
        need(not (best[0] and best[2]) or best[0] < best[2], names[locate], "is crossed")
        print(locate, names[locate].rstrip(), *best, *trades[locate], sep=" ", end=text + "\n")
    print(sum(seen.values()), "messages of", len(seen), "types", file=sys.stderr)


main(sys.argv[1])
