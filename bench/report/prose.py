"""What the page says in words, whatever was measured."""

TESTS = {
    "stream": "Throughput, one message at a time", "many": "Several producers and consumers",
    "growth": "Throughput, as work grows", "attach": "Attaching, as work grows",
    "pingpong": "Round trips, polling", "latency": "One way, at a fixed rate", "burst": "Bursts",
    "wake": "Round trips, asleep until woken", "post_idle": "A post while nobody sleeps",
    "recover": "From a receiver's death to the next message", "idle": "Processor time while asleep",
}

LIMITS = {
    "limit_stream_lines": "cache lines a second from one core to the other, without a queue",
    "limit_copy": "plain copies a second from one process to the other, the fastest way found",
    "limit_one_line": "round trip of one line that both sides write",
    "limit_two_lines": "round trip over two lines, one for each direction: what two rings need",
    "limit_rotating_lines": "the same, another line each time, as a ring does",
    "limit_slot": "messages through the barest slot: a copy and a flag, in the best of several places",
    "limit_rotating_slot": "the same, another slot each time and none for both directions, as two rings do it",
    "limit_tickets": "the additions that give each of many processes a place, without anything that says it is ready",
    "limit_sleep": "processor time of a bare sleep",
    "limit_store": "a store that nobody waits for", "limit_store_fence": "a store and a full fence",
}

# What to choose: the need, what to take, and the row that shows what it gives here: its test, its system, and the
# size that it should be near to.
CHOICES = (
    ("Messages of one size, one process to another",
     "<code>IPC_SPSC</code>", "stream", "ipc_ring", 60),
    ("The same, several at an end, any of which may be killed",
     "<code>IPC_MPMC</code>, <code>IPC_MPSC</code>, <code>IPC_SPMC</code>", "many", "ipc_ring", 60),
    ("Messages of any length, from one or many",
     "<code>IPC_RECORDS</code>", "stream", "ipc_records", 64),
    ("Large messages, made and read in place",
     "<code>IPC_RECORDS</code>: claim, peek", "stream", "ipc_records", 65536),
    ("Audio, text: bytes without boundaries",
     "<code>IPC_STREAM</code>", "stream", "ipc_stream", 0),
    ("Every reader sees everything; the writer must not wait",
     "<code>IPC_BROADCAST</code>, lossy", "stream", "ipc_lossy_1", 60),
    ("Every reader sees everything; nothing may be missed",
     "<code>IPC_BROADCAST</code>, lossless", "stream", "ipc_lossless_1", 60),
    ("A question and its answer",
     "<code>IPC_CALL</code>", "pingpong", "ipc_call", 60),
    ("A receiver that mostly sleeps",
     "<code>send</code>, <code>recv</code> of any ring: a wake costs what the kernel's costs", "wake", "ipc_futex", 0),
    ("A peer that may be old, sandboxed or another user",
     "<code>auto:</code> of ipc_channel.h: a socket that becomes a ring", "stream", "chan_auto", 64),
    ("Simple, parent and child, or a shell",
     "a pipe: <code>pipe:</code>", "stream", "raw_pipe", 64),
    ("Descriptors, credentials, or many clients that come and go",
     "a Unix socket: <code>unix:</code>", "stream", "raw_unix", 64),
    ("Priorities",
     "a POSIX queue: <code>mq:</code>", "stream", "raw_mq", 64),
    ("Another machine",
     "<code>tcp:</code>, here over loopback", "stream", "raw_tcp", 64),
    ("A history that outlives all processes",
     "<code>file:</code>", "stream", "chan_file", 64),
)

GLOSSARY = (
    ("limit_…",
     "What the machine does without any queue: cache lines that go from core to core, or plain copies "
     "between two processes (limit_copy). No ring can be much better; one may be a little, where it moves "
     "its lines in a better order."),
    ("ipc_…",
     "A ring of ipc_ring.h, polled. ipc_…_sleep: the same by send and recv, which may sleep."),
    ("chan_…",
     "The same messages through ipc_channel.h: chan_pipe is the URI pipe:, and so on."),
    ("raw_…",
     "The mechanism below a channel, written by hand as well as we can: no layer of ours. raw_ring is the "
     "bare ring."),
    ("†, threads",
     "Measured between threads of one process, as it cannot live in shared memory. That is an advantage: "
     "nothing has to be found or mapped."),
    ("stream",
     "One message at a time, as fast as both sides can, each written and read in full and its number "
     "checked."),
    ("pingpong",
     "There and back, both sides polling. Half of it is about the one-way latency."),
    ("latency",
     "One way, at a fixed rate, from the time at which a message should have been sent: a stall counts for "
     "all messages that it delays (no coordinated omission)."),
    ("wake",
     "There and back, where each side sleeps until it is woken, on one core or on two."),
    ("many",
     "Several producers and consumers. With more processes than cores they take turns."),
    ("N_held",
     "One more producer is stopped in the middle of a push: what do the others still do?"),
    ("missed",
     "Of a lossy broadcast: the part that a reader was told that it missed."),
)

# What grows, as it stands in the shapes of tests "growth", "attach" and "wake": what a plot of each test is called, and
# why it is flat or not.
GROWTH = {
    ("growth", "slots"): ("Throughput against capacity",
        "Messages of 8 bytes. In a ring of 16 slots each side waits for the other's line all the time. A ring that is "
        "larger than the caches is read from memory, but in order, so that the processor fetches ahead."),
    ("attach", "slots"): ("Attaching against capacity",
        "Both ends of a ring that is half full: the tail is found by bisection, or from where the last producer left. "
        "To open a segment takes as long as the kernel needs for its pages; without prefault each page costs as much "
        "when it is first touched."),
    ("growth", "readers"): ("Throughput against readers",
        "What the writer sends, one process with all the readers. A lossless writer waits until all have read, so n "
        "readers on one core get an n-th each; a lossy one waits for none."),
    ("attach", "readers"): ("Attaching against readers",
        "The last reader of a lossless broadcast, which looks for a free seat: a word for each that is taken."),
    ("growth", "producers"): ("Throughput against producers",
        "One process sends by each producer in turn. Of records each has a lane. In a ring of slots one whose "
        "turn comes has to find the place that the others have reached; that this is what costs is not measured yet."),
    ("attach", "producers"): ("Attaching against producers", "The last producer, which looks for a free seat or lane."),
    ("growth", "rings"): ("Throughput against rings waited for",
        "By ipc_wait_any, of rings that are filled in turn: each look begins behind the ring that was found last."),
    ("wake", "rings"): ("Asleep on many rings, there and back",
        "Both sides on one core. For ipc_wait_any the kernel takes each ring's futex, half a microsecond each, and "
        "128 at most. One notifier for all rings costs a look at each ring."),
    ("attach", "rings"): ("Attaching one ring of many", "It is found by its name among those of the segment."),
}

HOW = (
    "Every case runs in fresh processes for each run, each process on a core of its own unless the table "
    "says otherwise.",
    "All cases run interleaved and in random order within each round, so that what the machine does "
    "meanwhile meets all alike. Ratios within this page hold better than the figures themselves.",
    "A figure is the median of its runs; what stands beside it in brackets, or as a band or a bar, is the "
    "least and the most of all runs. A ratio is the median of the ratios within one round.",
    "What was interrupted is left out, and its part is told: a rate is the median of windows of about 100 µs in "
    "which no side lost its core, a round trip that of windows of 2 µs, and a latency leaves out messages that a "
    "lost core held up.",
    "A host may move the cores of a virtual machine, so one line's round trip is measured around each run. Runs "
    "with cores near each other and far from each other are kept apart, and a run in which that changed is "
    "repeated.",
    "Both sides poll, unless the row is of a mechanism that only sleeps, or says “sleep”. The kernel's "
    "mechanisms are used well: non-blocking, one write for each message, a reader that takes all there is.",
    "The percentiles of round trips and of wakes are of further ones, each of which was timed by itself. A look "
    "at the clock is taken off.",
    "Of the limit: against the best of what the machine did in the same round without any queue: plain copies, "
    "lines, the barest slot with a flag, and for many producers and consumers the bare atomic operations. 1 is as "
    "fast as the machine.",
)
