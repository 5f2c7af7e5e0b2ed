/* ipc_ring.hpp: every kind, moved and closed handles, deadlines and results; and a program in C at
 * the other end, tests/cpp_peer.c, whose path is the first argument. */
#include "ipc_ring.hpp"

#include <string>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#include <vector>

extern "C" {
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
}

using namespace std::chrono_literals;

namespace {

struct tick {
    uint64_t ns = 0; /* a default: still copied byte by byte */
    double px = 0;
};
struct add {
    int64_t a, b;
};

static_assert(ipc::is_message_v<tick> && !ipc::is_message_v<std::string>);
static_assert(!std::is_copy_constructible_v<ipc::spsc<tick>::producer>);
static_assert(std::is_nothrow_move_constructible_v<ipc::spsc<tick>::producer>);
static_assert(alignof(ipc::spsc<tick>::producer) == IPC_HANDLE_ALIGN);

const char *peer_program;
int names;

/* A segment of a name of its own, which goes with it. */
struct place {
    std::string name;
    ipc::segment seg;

    explicit place(size_t size = 1 << 22)
    {
        const char *prefix = getenv("IPC_TEST_PREFIX");

        name = (prefix != nullptr ? prefix : "ipc-test") + std::string("-cpp-") +
               std::to_string(getpid()) + "-" + std::to_string(names++);
        assert_true(bool(seg.create(name.c_str(), size)));
    }
    ~place()
    {
        (void)ipc::segment::unlink(name.c_str());
    }
};

pid_t start(const place &p, const char *what)
{
    pid_t pid = fork();

    if (pid == 0) {
        execl(peer_program, peer_program, p.name.c_str(), what, static_cast<char *>(nullptr));
        _exit(127);
    }
    assert_true(pid > 0);
    return pid;
}

int ended(pid_t pid)
{
    int status = -1;

    assert_int_equal(waitpid(pid, &status, 0), pid);
    return status;
}

void slots_go_in_and_come_out(void **)
{
    place p;
    ipc::spsc<tick>::producer out;
    ipc::spsc<tick>::consumer in;
    tick many[4] = {{1, 1}, {2, 2}, {3, 3}, {4, 4}}, got[4], t;

    assert_true(bool(out.create(p.seg, "ticks", 4)));
    assert_true(bool(in.open(p.seg, "ticks")));
    assert_true(in.pop(t).again());
    assert_int_equal(out.push_n(many, 4).count(), 4);
    assert_true(out.push(t).again());
    assert_true(out.claim() == nullptr);
    assert_int_equal(in.was_size(), 4);
    assert_int_equal(in.pop_n(got, 4).count(), 4);
    assert_int_equal(got[3].ns, 4);
    assert_true(bool(out.push_more(many[1])) && bool(out.flush()));
    assert_true(bool(in.pop(t)));
    assert_int_equal(t.ns, 2);
    tick *slot = out.claim();
    assert_non_null(slot);
    slot->ns = 9;
    assert_true(bool(out.commit()));
    out.post();
    assert_true(bool(in.wait(ipc::now)));
    assert_int_equal(in.peek()->ns, 9);
    assert_true(bool(in.release()));
    ipc::result r = in.recv(t, 1ms);
    assert_true(r == std::errc::timed_out && r != std::errc::broken_pipe && !r);
    std::error_code code = r;
    assert_true(code == std::errc::timed_out);
    assert_true(r.message() == ipc_strerror(-ETIMEDOUT));
    assert_false(bool(ipc::spsc<tick>::create(p.seg, "ticks", 8)));
    assert_non_null(strstr(p.seg.why(), "capacity"));
}

void many_and_all(void **)
{
    place p;
    ipc::mpmc<int>::producer put;
    ipc::mpmc<int>::consumer take;
    ipc::broadcast<int>::producer news;
    ipc::broadcast<int>::consumer one, two;
    uint64_t id = 0;
    int n = 0;

    assert_true(bool(put.create(p.seg, "jobs", 16, IPC_MPMC_AT_LEAST_ONCE)));
    assert_true(bool(take.open(p.seg, "jobs")));
    assert_true(bool(put.send(5, ipc::forever)));
    assert_true(bool(take.recv(n, ipc::forever)));
    assert_int_equal(n, 5);
    assert_int_equal(take.losses().lost, 0);

    assert_true(bool(news.create(p.seg, "news", 16, unsigned{IPC_BROADCAST_LOSSLESS})));
    assert_true(bool(one.open(p.seg, "news")) && bool(two.open(p.seg, "news")));
    assert_int_equal(news.was_readers(), 2);
    for (n = 0; n < 16; n++)
        assert_true(bool(news.push(n)));
    assert_true(news.push(n).again());
    assert_int_equal(news.was_slowest(&id), 16);
    assert_int_equal(id, ipc_shm_peer(p.seg.get())->id);
    for (int i = 0; i < 16; i++) {
        assert_true(bool(one.pop(n)) && n == i);
        assert_true(bool(two.pop(n)) && n == i);
    }
    one.detach();
    assert_int_equal(news.was_readers(), 1);

    assert_true(bool(news.create(p.seg, "lossy", 16, unsigned{IPC_BROADCAST_LOSSY})));
    assert_true(bool(one.open(p.seg, "lossy")));
    for (n = 0; n < 40; n++)
        assert_true(bool(news.push(n)));
    assert_int_equal(one.pop(n).error(), EOVERFLOW);
    assert_true(one.missed() >= 24);
}

void bytes_and_elements(void **)
{
    place p;
    ipc::records::producer out;
    ipc::records::consumer in;
    ipc::record_broadcast::producer all;
    ipc::record_broadcast::consumer each;
    ipc::stream<float>::producer play;
    ipc::stream<float>::consumer hear;
    ipc::stream<float>::regions r;
    ipc_record_sender from;
    float sound[3] = {1, 2, 3};
    char line[16];
    size_t n;

    assert_true(bool(out.create(p.seg, "logs", 4096, 2u)));
    assert_true(bool(in.open(p.seg, "logs")));
    assert_true(bool(out.push_more("hello", 5)) && bool(out.flush()));
    assert_int_equal(in.pop(line, 3).error(), EMSGSIZE);
    assert_int_equal(in.recv(line, sizeof line, 1s).count(), 5);
    assert_memory_equal(line, "hello", 5);
    assert_true(bool(in.source(from)));
    assert_true(out.most() > 1000);
    void *at = out.claim(100);
    assert_non_null(at);
    memset(at, 'x', 7);
    assert_true(bool(out.commit(7)));
    assert_memory_equal(in.peek(n), "xxxxxxx", 7);
    assert_int_equal(n, 7);
    assert_true(bool(in.release()));

    assert_true(bool(all.create(p.seg, "all", 4096, unsigned{IPC_BROADCAST_LOSSLESS})));
    assert_true(bool(each.open(p.seg, "all")));
    assert_true(bool(all.send("abc", 3, 1s)));
    assert_int_equal(each.pop(line, sizeof line).count(), 3);

    assert_true(bool(play.create(p.seg, "audio", 1024)));
    assert_true(bool(hear.open(p.seg, "audio")));
    assert_int_equal(play.send(sound, 3, ipc::forever).count(), 3);
    assert_true(bool(hear.wait(3, ipc::now)));
    assert_int_equal(hear.data(r), 3);
    assert_true(r.at[0][1] == 2);
    assert_true(hear.peek(2)[0] == 1);
    assert_true(bool(hear.release(2)));
    assert_true(hear.pop_all(sound, 2).again());
    assert_int_equal(hear.recv(sound, 2, 1s).count(), 1);
    assert_true(sound[0] == 3 && hear.twice());
}

void a_call_is_answered(void **)
{
    place p;
    ipc::call<add, int64_t>::client ask;
    ipc::call<add, int64_t>::server answer;
    int64_t sum = 0;

    assert_true(bool(answer.create(p.seg, "adder", 4)));
    assert_true(bool(ask.open(p.seg, "adder")));
    assert_true(bool(ask.ask({3, 5})));
    assert_true(bool(answer.serve([](const add &q) { return q.a + q.b; }, 1s)));
    assert_true(bool(ask.wait(1s)));
    assert_true(bool(ask.collect(sum)));
    assert_int_equal(sum, 8);
    assert_true(ask({1, 1}, sum, 1ms) == std::errc::timed_out);
}

/* Standard input must stay open, as closed handles are all zeros in places. */
void handles_that_are_closed_refuse(void **)
{
    ipc::spsc<tick>::consumer in;
    ipc::stream<float>::producer play;
    ipc::records::producer logs;
    ipc::mpmc<int>::consumer take;
    ipc::broadcast<int>::producer news;
    ipc::segment seg;
    tick t;
    int n = 0;

    {
        ipc::call<add, int64_t>::client ask;
        ipc::call<add, int64_t>::server answer;
        int64_t sum;

        assert_false(bool(ask({1, 1}, sum, 1s)));
        assert_false(bool(ask.ask({1, 1})));
        assert_null(answer.take());
        ask.detach();
    }
    assert_int_equal(in.pop(t).error(), EINVAL);
    assert_int_equal(in.recv(t, ipc::forever).error(), EINVAL);
    assert_null(in.peek());
    assert_int_equal(play.send(nullptr, 3, 1s).error(), EINVAL);
    assert_int_equal(logs.push("x", 1).error(), EINVAL);
    assert_int_equal(logs.push_more("x", 1).error(), EINVAL);
    assert_int_equal(logs.flush().error(), EINVAL);
    assert_int_equal(take.recv(n, ipc::forever).error(), EINVAL);
    assert_int_equal(news.push(1).error(), EINVAL);
    assert_int_equal(in.open(seg, "ticks").error(), EINVAL);
    assert_int_equal(seg.open("ipc-test-cpp-not-there", ipc::now).error(), ENOENT);
    assert_int_equal(in.open(seg, "ticks").error(), EINVAL);
    assert_int_equal(seg.open(nullptr, ipc::now).error(), EINVAL);
    seg.close();
    assert_non_null(strstr(seg.why(), "never opened"));
    assert_int_equal(fcntl(0, F_GETFD) < 0, 0);
}

ipc::spsc<tick>::producer make(place &p)
{
    ipc::spsc<tick>::producer out;

    assert_true(bool(out.create(p.seg, "ticks", 64)));
    return out;
}

void handles_move_and_keep_their_segment(void **)
{
    std::vector<ipc::spsc<tick>::producer> all;
    ipc::spsc<tick>::consumer in, other;
    tick t;

    {
        place p;

        all.push_back(make(p));
        all.reserve(100); /* moves it */
        assert_true(bool(in.open(p.seg, "ticks")));
    } /* the segment's handle goes first */
    assert_true(bool(all[0].send({1, 1}, ipc::now)));
    other = std::move(in);
    assert_true(bool(other.recv(t, ipc::now)));
    assert_int_equal(in.pop(t).error(), EINVAL); // NOLINT: moved from
    all.clear(); /* detaches */
    assert_true(other.recv(t, ipc::forever).peer_gone());
    in = std::move(other);
    in.detach();
    in.detach();
}

void deadlines(void **)
{
    using clock = ipc::deadline::clock;
    int64_t before = ipc_clock();
    ipc::deadline in = 500ms;

    assert_true(in.ns() >= before + 500000000 && in.ns() <= ipc_clock() + 500000000);
    assert_true(ipc::deadline(0s).ns() == IPC_NOW && ipc::deadline(-5s).ns() == IPC_NOW);
    assert_true(ipc::deadline(std::chrono::hours::max()).ns() == IPC_FOREVER);
    assert_true(ipc::deadline(std::chrono::hours::min()).ns() == IPC_NOW);
    assert_true(ipc::deadline(clock::time_point::max()).ns() == IPC_FOREVER);
    assert_true(ipc::deadline(clock::time_point()).ns() == IPC_NOW);
    assert_true(ipc::deadline(std::chrono::duration<double>(0.5)).ns() > before);
    clock::time_point t = clock::now();
    assert_true(ipc::deadline(t).ns() == t.time_since_epoch().count());
    assert_true(ipc::forever.ns() == IPC_FOREVER && ipc::now.ns() == IPC_NOW);
}

void waiting_for_any(void **)
{
    place p;
    ipc::spsc<int>::producer out;
    ipc::spsc<int>::consumer in[2];
    int n = 0;

    assert_true(bool(ipc::spsc<int>::create(p.seg, "0", 64)) && bool(in[0].open(p.seg, "0")));
    assert_true(bool(out.create(p.seg, "1", 64)) && bool(in[1].open(p.seg, "1")));
    ipc_notify *bells[2] = {&in[0].bell(), &in[1].bell()};
    auto look = [&](unsigned i) { return bool(in[i].pop(n)); };
    assert_true(ipc::wait_any(bells, 2, 1ms, look) == std::errc::timed_out);
    assert_true(bool(out.send(6, 1s)));
    ipc::result r = ipc::wait_any(bells, 2, 1s, look);
    assert_true(bool(r) && r.count() == 1 && n == 6);
    assert_int_equal(ipc::wait_any(bells, 2, ipc::now, [](unsigned i) { return i == 1; }).which(), 1);
    assert_int_equal(ipc::wait_any(bells, 2, ipc::now, look).which(), 0);
    assert_int_equal(ipc::wait_any(bells, 0, ipc::now, look).error(), EINVAL);
    assert_true(bool(out.send(7, 1s)));
    assert_true(bool(ipc::wait(in[1].bell(), 1s, [&] { return bool(in[1].pop(n)); })) && n == 7);

    ipc_any any;
    assert_int_equal(ipc_any_init(&any, bells, 2), 0);
    for (size_t turn = 0; turn < 4; turn++) { /* both are ready all the time */
        r = ipc::wait_any(any, ipc::now, [](unsigned) { return true; });
        assert_true(bool(r) && r.count() == turn % 2);
    }
    ipc_any_close(&any);
}

void memory_of_ones_own(void **)
{
    size_t size = ipc::spsc<int>::footprint(64);
    void *mem = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    ipc::spsc<int>::producer out;
    ipc::spsc<int>::consumer in;
    ipc::spsc<int, 3>::consumer newer;
    int n = 0;

    assert_true(mem != MAP_FAILED && bool(ipc::spsc<int>::init(mem, size, 64)));
    assert_int_equal(newer.attach(mem, size).error(), EPROTO);
    assert_true(bool(out.attach(mem, size)) && bool(in.attach(mem, size)));
    assert_true(bool(out.push(4)) && bool(in.pop(n)) && n == 4);
    out.detach();
    in.detach();
    munmap(mem, size);
}

void segments_by_descriptor(void **)
{
    ipc::segment made, other;
    ipc::spsc<int>::producer out;
    ipc::spsc<int>::consumer in;
    int n = 0;

    assert_int_equal(other.sync().error(), EINVAL);
    assert_int_equal(other.hand_over().error(), EINVAL);
    assert_false(bool(other.open_fd(-1)));
    assert_true(bool(made.create(nullptr, 65536)));
    assert_true(bool(other.open_fd(made.get()->fd)));
    assert_true(bool(out.create(made, "ring", 4)) && bool(in.open(other, "ring")));
    assert_true(bool(out.push(5)) && bool(in.pop(n)) && n == 5);
    assert_true(bool(made.sync()));
    assert_true(bool(made.hand_over()));
    assert_int_equal(out.push(6).error(), ECHILD);
}

/* A C program echoes 1,000 messages, and is then killed, or ends. */
void c_is_at_the_other_end(void **)
{
    for (const char *how : {"echo", "die"}) {
        place p;
        ipc::spsc<tick, 2>::producer out;
        ipc::spsc<int64_t>::consumer in;
        int64_t n = 0;

        assert_true(bool(out.create(p.seg, "ticks", 64)));
        assert_true(bool(ipc::spsc<int64_t>::create(p.seg, "numbers", 64)));
        assert_true(bool(in.open(p.seg, "numbers")));
        pid_t pid = start(p, how);
        for (int i = 0; i < 1000; i++) {
            assert_true(bool(out.send({uint64_t(i), 5}, 60s)));
            assert_true(bool(in.recv(n, 60s)));
            assert_int_equal(n, i + 5);
        }
        ipc::result r = in.recv(n, 60s);
        assert_int_equal(r.error(), *how == 'd' ? EOWNERDEAD : EPIPE);
        assert_true(r.peer_gone());
        assert_int_equal(ended(pid), *how == 'd' ? SIGKILL : 0);
    }
}

/* Which of several is ready, and which of them has lost its peer. */
void the_one_whose_peer_was_killed_is_told(void **)
{
    place p;
    ipc::spsc<tick, 2>::producer out;
    ipc::spsc<int64_t>::consumer in[2];
    int64_t n = 0;

    assert_true(bool(out.create(p.seg, "ticks", 1024)));
    assert_true(bool(in[0].create(p.seg, "idle", 64)));
    assert_true(bool(in[1].create(p.seg, "numbers", 1024)));
    assert_int_equal(in[1].peer(), 0);
    ipc_notify *bells[2] = {&in[0].bell(), &in[1].bell()};
    pid_t pid = start(p, "die");
    for (int i = 0; i < 1000; i++)
        assert_true(bool(out.send({1, 2}, 60s)));
    for (int i = 0; i < 1000; i++)
        assert_true(bool(in[1].recv(n, 60s)));
    assert_true(in[1].peer() != 0 && in[1].peer() == out.peer());
    ipc_notify_watch(&in[1].bell(), in[1].peer());
    ipc::any_result r =
        ipc::wait_any(bells, 2, 60s, [&](unsigned i) { return bool(in[i].pop(n)); });
    assert_true(r.peer_gone() && r.which() == 1 && r.count() == 0);
    assert_int_equal(ended(pid), SIGKILL);
}

void c_sends_each_kind(void **)
{
    place p;
    ipc::mpmc<int64_t>::consumer jobs;
    ipc::broadcast<tick>::consumer news;
    ipc::stream<float>::consumer audio;
    ipc::records::consumer logs;
    float sound[3];
    char line[16];
    int64_t job;
    tick t;

    assert_true(bool(jobs.create(p.seg, "jobs", 64, unsigned{IPC_MPMC_AT_MOST_ONCE})));
    assert_true(bool(news.create(p.seg, "news", 64, unsigned{IPC_BROADCAST_LOSSLESS})));
    assert_true(bool(audio.create(p.seg, "audio", 1024)));
    assert_true(bool(logs.create(p.seg, "logs", 4096, 1u)));
    pid_t pid = start(p, "each");
    assert_true(bool(jobs.recv(job, 60s)) && job == 9);
    assert_true(bool(news.recv(t, 60s)) && t.ns == 7 && t.px == 8);
    assert_true(bool(audio.wait(3, 60s)));
    assert_int_equal(audio.pop_n(sound, 3).count(), 3);
    assert_true(sound[2] == 3);
    assert_int_equal(logs.recv(line, sizeof line, 60s).count(), 6);
    assert_memory_equal(line, "a line", 6);
    assert_int_equal(ended(pid), 0);
}

void c_calls(void **)
{
    place p;
    ipc::call<add, int64_t>::server s;

    assert_true(bool(s.create(p.seg, "adder", 4)));
    pid_t pid = start(p, "call");
    assert_true(bool(s.serve([](const add &q) { return q.a + q.b; }, 60s)));
    assert_int_equal(ended(pid), 0);
}

#ifdef __cpp_lib_span
void spans(void **)
{
    place p;
    ipc::stream<float>::producer play;
    ipc::stream<float>::consumer hear;
    std::vector<float> from(100, 2.0f), to(100);
    ipc::records::producer out;
    ipc::records::consumer in;

    assert_true(bool(play.create(p.seg, "audio", 1024)) && bool(hear.open(p.seg, "audio")));
    assert_true(bool(play.push_all(from)));
    assert_int_equal(hear.pop_n(to).count(), 100);
    assert_true(to == from);
    assert_true(bool(out.create(p.seg, "logs", 4096, 1u)) && bool(in.open(p.seg, "logs")));
    assert_true(bool(out.push(std::as_bytes(std::span(from)))));
    assert_int_equal(in.peek().size(), 400);
}
#endif

} // namespace

int main(int argc, char **argv)
{
    const CMUnitTest tests[] = {
        cmocka_unit_test(slots_go_in_and_come_out),
        cmocka_unit_test(many_and_all),
        cmocka_unit_test(bytes_and_elements),
        cmocka_unit_test(a_call_is_answered),
        cmocka_unit_test(handles_that_are_closed_refuse),
        cmocka_unit_test(handles_move_and_keep_their_segment),
        cmocka_unit_test(deadlines),
        cmocka_unit_test(waiting_for_any),
        cmocka_unit_test(memory_of_ones_own),
        cmocka_unit_test(segments_by_descriptor),
        cmocka_unit_test(c_is_at_the_other_end),
        cmocka_unit_test(the_one_whose_peer_was_killed_is_told),
        cmocka_unit_test(c_sends_each_kind),
        cmocka_unit_test(c_calls),
#ifdef __cpp_lib_span
        cmocka_unit_test(spans),
#endif
    };

    if (argc != 2)
        return 2;
    peer_program = argv[1];
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
