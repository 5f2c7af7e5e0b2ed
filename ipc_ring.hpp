/*
 * ipc_ring.hpp - the rings, segments and waits of ipc_ring.h, ipc_shm.h and ipc_notify.h in C++.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * C++17 and newer, gcc and clang, Linux. Needs the three headers beside it. A ring is the same
 * memory in C and in C++: a program of the one language talks to a program of the other.
 *
 *     #include "ipc_ring.hpp"
 *     using namespace std::chrono_literals;
 *
 *     struct tick { uint64_t ns; double px; };
 *
 *     ipc::segment seg;                                  // one program
 *     ipc::spsc<tick>::producer out;
 *     ipc::result r = seg.create("feed", 1 << 20);
 *     if (r)
 *         r = out.create(seg, "ticks", 4096);
 *     if (!r)
 *         std::cerr << seg.why() << '\n';
 *     r = out.send({1, 2.5}, 100ms);
 *
 *     ipc::segment seg;                                  // another
 *     ipc::spsc<tick>::consumer in;
 *     ipc::result r = seg.open("feed", 1s);
 *     if (r)
 *         r = in.open(seg, "ticks");
 *     tick t;
 *     while ((r = in.recv(t, 1s)))
 *         trade(t);
 *     if (r == std::errc::timed_out) ...
 *
 * Kinds: spsc<T>, mpmc<T>, mpsc<T>, spmc<T>, broadcast<T>, stream<T>, call<Request, Reply>; records
 * and record_broadcast, of bytes. Where a type is named a number may follow, the version of that
 * type: spsc<tick, 2>. Each kind has the types `producer` and `consumer`, call `client` and
 * `server`. Their members are the calls of the same name of the C macros: the contract of
 * `out.push(t)` stands at NAME_push in ipc_ring.h. What differs:
 *
 *   - A handle is movable, not copyable. It detaches when it goes out of scope. A handle that was
 *     moved from, or never opened, answers each call with EINVAL.
 *   - A handle keeps its segment open. So the order does not matter in which the two go; the
 *     segment closes with the last of them.
 *   - A handle begins and ends with a line of its own (IPC_HANDLE_ALIGN), wherever it stands. What
 *     stands beside it does not slow it down.
 *   - A deadline is a duration from now on, a time point of std::chrono::steady_clock, ipc::now or
 *     ipc::forever.
 *   - A call returns an ipc::result: true, with a count where there is one; or false, with a
 *     reason. Nothing throws, but std::bad_alloc where a segment is opened.
 *
 * One thread at a time uses a handle, as in C. After fork: see ipc_shm_hand_over.
 *
 * How it works: the C macro of the kind is expanded in a class template, so the calls are the same
 * functions, and each member is a call of one of them, inline.
 */
#ifndef IPC_RING_HPP
#define IPC_RING_HPP 1

#if __cplusplus < 201703L
#error "ipc_ring.hpp needs C++17: -std=c++17"
#endif

#include "ipc_notify.h"
#include "ipc_ring.h"
#include "ipc_shm.h"

#include <chrono>
#include <memory>
#include <string>
#include <system_error>
#include <type_traits>
#include <utility>
#if __has_include(<span>) && __cplusplus >= 202002L
#include <span>
#endif

/* Bytes: two lines, as processors fetch lines in pairs. */
#define IPC_HANDLE_ALIGN 128

/* How the members that move a message are declared: they are no more than the C call. */
#define IPC_CALL_ CK_CC_FORCE_INLINE

namespace ipc {

/* ------------------------------------------------------------------ messages */

/* What can be a message: it is copied byte by byte, and a slot is aligned to a line at most. */
template <class T>
inline constexpr bool is_message_v = std::is_trivially_copyable_v<T> && alignof(T) <= IPC_RING_LINE;

#ifdef __cpp_concepts
template <class T>
concept message = is_message_v<T>;
#define IPC_MESSAGE_ ::ipc::message
#else
#define IPC_MESSAGE_ class
#endif

/* ------------------------------------------------------------------ results */

/* What a call returns: a count, or the negative errno of the C call. */
class [[nodiscard]] result {
  public:
    constexpr result() noexcept = default;
    constexpr result(int64_t rc) noexcept : rc_(rc)
    {
    }

    /* Did the call succeed? */
    constexpr explicit operator bool() const noexcept
    {
        return rc_ >= 0;
    }

    /* How many, or how many bytes, or which; 0 where the call counts nothing, or has failed. */
    constexpr size_t count() const noexcept
    {
        return rc_ > 0 ? static_cast<size_t>(rc_) : 0;
    }

    /* The errno, 0 after success: EAGAIN, EOWNERDEAD, ... */
    constexpr int error() const noexcept
    {
        return rc_ < 0 ? static_cast<int>(-rc_) : 0;
    }

    /* The ring is full, or empty: try later. */
    constexpr bool again() const noexcept
    {
        return rc_ == -EAGAIN;
    }

    /* The other end is gone: it was killed, or it has left. */
    constexpr bool peer_gone() const noexcept
    {
        return rc_ == -EOWNERDEAD || rc_ == -EPIPE;
    }

    /* As in C. */
    constexpr int64_t raw() const noexcept
    {
        return rc_;
    }

    operator std::error_code() const noexcept
    {
        return {error(), std::generic_category()};
    }

    /* ipc_strerror. */
    std::string message() const
    {
        return ipc_strerror(-error());
    }

    friend constexpr bool operator==(result r, std::errc e) noexcept
    {
        return r.error() == static_cast<int>(e);
    }

    friend constexpr bool operator!=(result r, std::errc e) noexcept
    {
        return !(r == e);
    }

  private:
    int64_t rc_ = 0;
};

/* What wait_any returns: the result, and which of the bells it is about. */
class [[nodiscard]] any_result : public result {
  public:
    constexpr any_result(int64_t rc, size_t which) noexcept : result(rc), which_(which)
    {
    }

    /* That for which condition(i) is true; after EOWNERDEAD that which watches the dead peer; 0 after
     * other errors. */
    constexpr size_t which() const noexcept
    {
        return which_;
    }

  private:
    size_t which_;
};

/* ------------------------------------------------------------------ deadlines */

/* Until when a call may wait. A duration counts from the moment at which it becomes a deadline: for
 * an argument, that of the call. One that is negative, or a time point that has passed, is now. */
class deadline {
  public:
    using clock = std::chrono::steady_clock; /* CLOCK_MONOTONIC, as that of the C headers */

    template <class Rep, class Period>
    deadline(std::chrono::duration<Rep, Period> d) noexcept
    {
        std::chrono::duration<double, std::nano> ns = d;

        if (ns.count() >= 4e18) /* above a century: as good as for ever */
            ns_ = IPC_FOREVER;
        else if (ns.count() > 0)
            ns_ = ipc_clock() + std::chrono::duration_cast<std::chrono::nanoseconds>(d).count();
    }

    template <class Duration>
    deadline(std::chrono::time_point<clock, Duration> t) noexcept
        : ns_(t == (t.max)() ? IPC_FOREVER : since_start(t))
    {
        if (ns_ < IPC_DEADLINE_FIRST_)
            ns_ = IPC_NOW;
    }

    /* As in C: nanoseconds of CLOCK_MONOTONIC. */
    static constexpr deadline at(int64_t ns) noexcept
    {
        return deadline(ns, 0);
    }

    constexpr int64_t ns() const noexcept
    {
        return ns_;
    }

  private:
    template <class Duration>
    static int64_t since_start(std::chrono::time_point<clock, Duration> t) noexcept
    {
        return std::chrono::duration_cast<std::chrono::nanoseconds>(t.time_since_epoch()).count();
    }

    constexpr deadline(int64_t ns, int) noexcept : ns_(ns)
    {
    }

    int64_t ns_ = IPC_NOW;
};

inline constexpr deadline now = deadline::at(IPC_NOW);         /* do not wait */
inline constexpr deadline forever = deadline::at(IPC_FOREVER); /* wait without limit */

/* ------------------------------------------------------------------ segments */

/* A segment of ipc_shm.h. A copy stands for the same open segment, which closes with the last copy
 * and the last handle in it. The contracts stand at the C calls. */
class segment {
  public:
    /* ipc_shm_create: `size` bytes. */
    result create(const char *name, size_t size, const ipc_shm_options &how = IPC_SHM_DEFAULTS)
    {
        return begin([&](ipc_shm *s) { return ipc_shm_create_with(s, name, size, &how); });
    }

    /* ipc_shm_open: waits for the segment until the deadline. open() of a ring in it waits until
     * the same deadline. */
    result open(const char *name, deadline d, const ipc_shm_options &how = IPC_SHM_DEFAULTS)
    {
        return begin([&](ipc_shm *s) { return ipc_shm_open_with(s, name, d.ns(), &how); });
    }

    /* ipc_shm_open_or_create. */
    result open_or_create(const char *name, size_t size,
                          const ipc_shm_options &how = IPC_SHM_DEFAULTS)
    {
        return begin([&](ipc_shm *s) { return ipc_shm_open_or_create(s, name, size, &how); });
    }

    /* ipc_shm_recv: from a connected Unix socket. */
    result recv(int socket, deadline d, const ipc_shm_options &how = IPC_SHM_DEFAULTS)
    {
        return begin([&](ipc_shm *s) { return ipc_shm_recv_with(s, socket, d.ns(), &how); });
    }

    /* ipc_shm_open_fd: from a descriptor, which stays the caller's. */
    result open_fd(int fd, const ipc_shm_options &how = IPC_SHM_DEFAULTS)
    {
        return begin([&](ipc_shm *s) { return ipc_shm_open_fd(s, fd, &how); });
    }

    /* ipc_shm_send. */
    result send(int socket)
    {
        return seg_ ? ipc_shm_send(seg_.get(), socket) : -EBADF;
    }

    /* ipc_shm_sync. */
    result sync()
    {
        return seg_ ? ipc_shm_sync(seg_.get()) : -EINVAL;
    }

    /* ipc_shm_hand_over: before a fork whose child goes on with what is open here. */
    result hand_over()
    {
        return seg_ ? ipc_shm_hand_over(seg_.get()) : -EINVAL;
    }

    /* Leaves the segment, once the handles that are attached in it have left, too. */
    void close() noexcept
    {
        seg_.reset();
    }

    /* ipc_shm_unlink. */
    static result unlink(const char *name)
    {
        return ipc_shm_unlink(name);
    }

    /* Why the last call with this segment, or the open of a handle in it, was refused. */
    const char *why() const noexcept
    {
        return seg_ ? ipc_shm_why(seg_.get()) : "the segment was never opened";
    }

    /* The C handle, for the calls of ipc_shm.h; null before the first open. */
    ipc_shm *get() const noexcept
    {
        return seg_.get();
    }

    const std::shared_ptr<ipc_shm> &share() const noexcept
    {
        return seg_;
    }

  private:
    /* A handle does not move while members use it, so it has a place of its own. */
    template <class F> result begin(F f)
    {
        seg_ = std::shared_ptr<ipc_shm>(new ipc_shm(), [](ipc_shm *s) {
            ipc_shm_close(s);
            delete s;
        });
        return f(seg_.get());
    }

    std::shared_ptr<ipc_shm> seg_;
};

/* ------------------------------------------------------------------ waiting */

/* ipc_wait: until condition() is true. */
template <class F> result wait(ipc_notify &bell, deadline d, F condition)
{
    return ipc_wait(&bell, d.ns(), condition());
}

/* ipc_wait_any: until condition(i) is true for one of the bells of `any` (ipc_any_init), or the peer
 * is dead that one of them watches (ipc_notify_watch); which() is that one, and so is count() where
 * the condition is true. The next call with the same `any` looks at those behind it first. */
template <class F> any_result wait_any(ipc_any &any, deadline d, F condition)
{
    unsigned i = 0;
    int rc = ipc_wait_any(&any, d.ns(), i, condition(i));

    if (rc == 0)
        return {i, i};
    return {rc, rc == -EOWNERDEAD ? i : 0u};
}

/* The same for bells[0..n), of which each call looks at the first one first: where that is always
 * ready the others wait. Fix: keep an ipc_any. */
template <class F>
any_result wait_any(ipc_notify *const *bells, unsigned n, deadline d, F condition)
{
    ipc_any any;
    any_result r{ipc_any_init(&any, bells, n), 0};

    if (r)
        r = wait_any(any, d, std::move(condition));
    ipc_any_close(&any);
    return r;
}

/* ------------------------------------------------------------------ the C calls of each kind */

namespace detail {

/* In a class a function needs no declaration before its use, and may have none. */
#pragma push_macro("IPC_RING_FORWARD_")
#pragma push_macro("IPC_RING_CALL_")
#pragma push_macro("IPC_INLINE")
#undef IPC_RING_FORWARD_
#define IPC_RING_FORWARD_(...)
#undef IPC_RING_CALL_
#define IPC_RING_CALL_ CK_CC_FORCE_INLINE static
#undef IPC_INLINE
#define IPC_INLINE CK_CC_INLINE static

template <class T, int Version> struct spsc_calls {
    IPC_SPSC_OF_(c, T, Version)
};
template <class T, unsigned Ends, int Version> struct mpmc_calls {
    IPC_MPMC_ENDS_(c, Ends, T, Version)
};
template <class T, int Version> struct broadcast_calls {
    IPC_BROADCAST_OF_(c, T, Version)
};
template <class T, int Version> struct stream_calls {
    IPC_STREAM_OF_(c, T, Version)
};
template <class Q, class A, int Version> struct call_calls {
    IPC_CALL_OF_(c, Q, A, Version)
};
struct record_calls {
    IPC_RECORDS(c)
};
struct record_broadcast_calls {
    IPC_RECORD_BROADCAST(c)
};

#pragma pop_macro("IPC_INLINE")
#pragma pop_macro("IPC_RING_CALL_")
#pragma pop_macro("IPC_RING_FORWARD_")

/* The calls that an end of any kind has. */
#define IPC_END_(END)                                                                              \
    template <class C> struct END##_of {                                                           \
        using calls = C;                                                                           \
        using handle = typename C::c_##END;                                                        \
        static int attach(handle *h, void *mem, size_t size, ipc_peer *me)                         \
        {                                                                                          \
            return C::c_##END##_attach(h, mem, size, me);                                          \
        }                                                                                          \
        static int open(handle *h, ipc_shm *seg, const char *name)                                 \
        {                                                                                          \
            return C::c_##END##_open(h, seg, name);                                                \
        }                                                                                          \
        template <class... How>                                                                    \
        static int create(handle *h, ipc_shm *seg, const char *name, uint64_t n, How... how)       \
        {                                                                                          \
            return C::c_##END##_create(h, seg, name, n, how...);                                   \
        }                                                                                          \
        static void detach(handle *h)                                                              \
        {                                                                                          \
            C::c_##END##_detach(h);                                                                \
        }                                                                                          \
        static int error(const handle *h)                                                          \
        {                                                                                          \
            return C::c_##END##_error(h);                                                          \
        }                                                                                          \
        static ipc_notify *bell(handle *h)                                                         \
        {                                                                                          \
            return C::c_##END##_bell(h);                                                           \
        }                                                                                          \
    };
IPC_END_(producer)
IPC_END_(consumer)
IPC_END_(client)
IPC_END_(server)
#undef IPC_END_

/* An end: a C handle, and its segment. Nothing in a segment, and nothing of the library, points to
 * a handle between two calls, so that one may be moved byte by byte. */
template <class E> class alignas(IPC_HANDLE_ALIGN) end {
  public:
    end() noexcept
    {
        refuse();
    }

    end(end &&other) noexcept : h_(other.h_), seg_(std::move(other.seg_))
    {
        other.refuse();
    }

    end &operator=(end &&other) noexcept
    {
        if (this != &other) {
            detach();
            h_ = other.h_;
            seg_ = std::move(other.seg_);
            other.refuse();
        }
        return *this;
    }

    ~end()
    {
        E::detach(&h_);
    }

    /* Attaches to the ring `name` in the segment: NAME_END_open. */
    result open(segment &seg, const char *name)
    {
        return in(seg, [&](ipc_shm *s) { return E::open(&h_, s, name); });
    }

    /* Makes the ring if it is not there, and attaches: NAME_END_create. `how` where the kind has
     * one. */
    template <class... How>
    result create(segment &seg, const char *name, uint64_t capacity, How... how)
    {
        return in(seg, [&](ipc_shm *s) { return E::create(&h_, s, name, capacity, how...); });
    }

    /* Attaches to a ring in memory of one's own: NAME_END_attach. */
    result attach(void *mem, size_t size, ipc_peer *me = nullptr)
    {
        detach();
        return E::attach(&h_, mem, size, me);
    }

    /* Gives the end back: NAME_END_detach. */
    void detach() noexcept
    {
        E::detach(&h_);
        refuse();
        seg_.reset();
    }

    /* NAME_END_error. */
    result error() const
    {
        return E::error(&h_);
    }

    /* What this end sleeps on, for ipc::wait, ipc::wait_any and ipc_notify_fd: NAME_END_bell. */
    ipc_notify &bell()
    {
        return *E::bell(&h_);
    }

    /* The C handle. */
    typename E::handle *get() noexcept
    {
        return &h_;
    }

  protected:
    mutable typename E::handle h_;

  private:
    void refuse() noexcept
    {
        (void)E::attach(&h_, nullptr, 0, nullptr);
    }

    template <class F> result in(segment &seg, F f)
    {
        detach();
        if (seg.get() == nullptr)
            return -EINVAL;
        int rc = f(seg.get());
        if (rc == 0)
            seg_ = seg.share();
        else
            refuse();
        return rc;
    }

    std::shared_ptr<ipc_shm> seg_;
};

/* What can be asked of a kind without a handle. */
template <class C> struct ring {
    /* NAME_footprint: bytes; 0 where that is no ring. */
    template <class... How> static size_t footprint(uint64_t capacity, How... how)
    {
        return C::c_footprint(capacity, how...);
    }

    /* NAME_init: makes an empty ring in memory of one's own. */
    template <class... How>
    static result init(void *mem, size_t size, uint64_t capacity, How... how)
    {
        return C::c_init(mem, size, capacity, how...);
    }

    /* NAME_create: makes the ring if it is not there, and attaches to nothing. */
    template <class... How>
    static result create(segment &seg, const char *name, uint64_t capacity, How... how)
    {
        return seg.get() != nullptr ? C::c_create(seg.get(), name, capacity, how...) : -EINVAL;
    }
};

/* ------------------------------------------------------------------ messages of one type */

template <class C, class T> class slot_producer : public end<producer_of<C>> {
    using base = end<producer_of<C>>;

  protected:
    using base::h_;

  public:
    IPC_CALL_ result push(const T &m) { return C::c_push(&h_, &m); }
    IPC_CALL_ result push_n(const T *m, size_t n) { return C::c_push_n(&h_, m, n); }
    IPC_CALL_ result send(const T &m, deadline d) { return C::c_send(&h_, &m, d.ns()); }
    /* The next slot, to be filled in; null: full. */
    IPC_CALL_ T *claim() { return C::c_claim(&h_); }
    IPC_CALL_ result commit() { return C::c_commit(&h_); }
    void cancel() { C::c_cancel(&h_); }
    /* Waits for room. */
    result wait(deadline d) { return C::c_producer_wait(&h_, d.ns()); }
    /* Wakes the other end, after push, push_n and commit. */
    void post() { (void)C::c_producer_post(&h_); }
#ifdef __cpp_lib_span
    IPC_CALL_ result push_n(std::span<const T> m) { return push_n(m.data(), m.size()); }
#endif
};

template <class C, class T> class slot_consumer : public end<consumer_of<C>> {
    using base = end<consumer_of<C>>;

  protected:
    using base::h_;

  public:
    IPC_CALL_ result pop(T &m) { return C::c_pop(&h_, &m); }
    IPC_CALL_ result pop_n(T *m, size_t n) { return C::c_pop_n(&h_, m, n); }
    IPC_CALL_ result recv(T &m, deadline d) { return C::c_recv(&h_, &m, d.ns()); }
    /* The next message, in place; null: none. */
    IPC_CALL_ const T *peek() { return C::c_peek(&h_); }
    IPC_CALL_ result release() { return C::c_release(&h_); }
    /* Waits for a message. */
    result wait(deadline d) { return C::c_consumer_wait(&h_, d.ns()); }
    /* Wakes the other end, after pop, pop_n and release. */
    void post() { (void)C::c_consumer_post(&h_); }
#ifdef __cpp_lib_span
    IPC_CALL_ result pop_n(std::span<T> m) { return pop_n(m.data(), m.size()); }
#endif
};

} // namespace detail

/* IPC_SPSC: one producer, one consumer. */
template <IPC_MESSAGE_ T, int Version = 0>
struct spsc : detail::ring<detail::spsc_calls<T, Version>> {
    static_assert(is_message_v<T>, "a message is copied byte by byte");
    using calls = detail::spsc_calls<T, Version>;

    struct producer : detail::slot_producer<calls, T> {
        /* push, with the hint that more is coming: it may be invisible until the next flush. */
        IPC_CALL_ result push_more(const T &m) { return calls::c_push_more(&this->h_, &m); }
        IPC_CALL_ result flush() { return calls::c_flush(&this->h_); }
        uint64_t was_size() const { return calls::c_producer_was_size(&this->h_); }
        /* Which process has the other end, for ipc_notify_watch; 0: none. */
        uint64_t peer() const { return calls::c_producer_peer(&this->h_); }
    };

    struct consumer : detail::slot_consumer<calls, T> {
        uint64_t was_size() const { return calls::c_consumer_was_size(&this->h_); }
        uint64_t peer() const { return calls::c_consumer_peer(&this->h_); }
        void replay(uint64_t n) { calls::c_replay(&this->h_, n); }
    };
};

namespace detail {

template <IPC_MESSAGE_ T, unsigned Ends, int Version>
struct many : ring<mpmc_calls<T, Ends, Version>> {
    static_assert(is_message_v<T>, "a message is copied byte by byte");
    using calls = mpmc_calls<T, Ends, Version>;

    struct producer : slot_producer<calls, T> {
        uint64_t was_size() const { return calls::c_producer_was_size(&this->h_); }
        ipc_mpmc_losses losses() const { return calls::c_producer_losses(&this->h_); }
        result recover(uint64_t id) { return calls::c_producer_recover(&this->h_, id); }
    };

    struct consumer : slot_consumer<calls, T> {
        uint64_t was_size() const { return calls::c_consumer_was_size(&this->h_); }
        ipc_mpmc_losses losses() const { return calls::c_consumer_losses(&this->h_); }
        result recover(uint64_t id) { return calls::c_consumer_recover(&this->h_, id); }
    };
};

} // namespace detail

/* IPC_MPMC, IPC_MPSC, IPC_SPMC: `how` is IPC_MPMC_AT_MOST_ONCE or IPC_MPMC_AT_LEAST_ONCE. */
template <IPC_MESSAGE_ T, int Version = 0> using mpmc = detail::many<T, 0, Version>;
template <IPC_MESSAGE_ T, int Version = 0>
using mpsc = detail::many<T, IPC_MPMC_ONE_CONSUMER, Version>;
template <IPC_MESSAGE_ T, int Version = 0>
using spmc = detail::many<T, IPC_MPMC_ONE_PRODUCER, Version>;

namespace detail {

/* The producer of a broadcast: what it can say of its readers. */
template <class C, class Base> struct writer : Base {
    /* How far the slowest reader is behind; *id: which process that is. */
    uint64_t was_slowest(uint64_t *id = nullptr) const
    {
        uint64_t none;

        return C::c_was_slowest(&this->h_, id != nullptr ? id : &none);
    }
    unsigned was_readers() const { return C::c_was_readers(&this->h_); }
    result recover(uint64_t id) { return C::c_producer_recover(&this->h_, id); }
};

/* A reader of a broadcast. */
template <class C, class Base> struct reader : Base {
    /* After EOVERFLOW: how many messages this reader has missed. */
    uint64_t missed() const { return C::c_missed(&this->h_); }
};

} // namespace detail

/* IPC_BROADCAST: `how` is IPC_BROADCAST_LOSSLESS or IPC_BROADCAST_LOSSY, and what may be added. */
template <IPC_MESSAGE_ T, int Version = 0>
struct broadcast : detail::ring<detail::broadcast_calls<T, Version>> {
    static_assert(is_message_v<T>, "a message is copied byte by byte");
    using calls = detail::broadcast_calls<T, Version>;
    using producer = detail::writer<calls, detail::slot_producer<calls, T>>;
    using consumer = detail::reader<calls, detail::slot_consumer<calls, T>>;
};

/* ------------------------------------------------------------------ messages of any length */

namespace detail {

template <class C> class record_producer : public end<producer_of<C>> {
    using base = end<producer_of<C>>;

  protected:
    using base::h_;

  public:
    IPC_CALL_ result push(const void *data, size_t n) { return C::c_push(&h_, data, n); }
    IPC_CALL_ result push_n(const ipc_record *records, size_t n)
    {
        return C::c_push_n(&h_, records, n);
    }
    IPC_CALL_ result send(const void *data, size_t n, deadline d)
    {
        return C::c_send(&h_, data, n, d.ns());
    }
    /* n bytes in place; null: no room. */
    IPC_CALL_ void *claim(size_t n) { return C::c_claim(&h_, n); }
    /* The first n of the bytes that were claimed. */
    IPC_CALL_ result commit(size_t n) { return C::c_commit(&h_, n); }
    void cancel() { C::c_cancel(&h_); }
    /* Bytes of the longest record. */
    size_t most() const { return C::c_most(&h_); }
    /* Waits for room for n bytes. */
    result wait(size_t n, deadline d) { return C::c_producer_wait(&h_, n, d.ns()); }
    void post() { (void)C::c_producer_post(&h_); }
#ifdef __cpp_lib_span
    IPC_CALL_ result push(std::span<const std::byte> data)
    {
        return push(data.data(), data.size());
    }
    IPC_CALL_ result send(std::span<const std::byte> data, deadline d)
    {
        return send(data.data(), data.size(), d);
    }
#endif
};

template <class C> class record_consumer : public end<consumer_of<C>> {
    using base = end<consumer_of<C>>;

  protected:
    using base::h_;

  public:
    /* count(): the bytes of the record. */
    IPC_CALL_ result pop(void *to, size_t size) { return C::c_pop(&h_, to, size); }
    IPC_CALL_ result pop_n(void *to, size_t size, ipc_record *records, size_t n)
    {
        return C::c_pop_n(&h_, to, size, records, n);
    }
    IPC_CALL_ result recv(void *to, size_t size, deadline d)
    {
        return C::c_recv(&h_, to, size, d.ns());
    }
    /* The next record, in place, of n bytes; null: none. */
    IPC_CALL_ const void *peek(size_t &n) { return C::c_peek(&h_, &n); }
    IPC_CALL_ result release() { return C::c_release(&h_); }
    /* Waits for a record. */
    result wait(deadline d) { return C::c_consumer_wait(&h_, d.ns()); }
    void post() { (void)C::c_consumer_post(&h_); }
#ifdef __cpp_lib_span
    /* The next record, in place; data() is null where there is none. */
    std::span<const std::byte> peek()
    {
        size_t n = 0;
        const void *at = peek(n);

        return {static_cast<const std::byte *>(at), at != nullptr ? n : 0};
    }
#endif
};

} // namespace detail

/* IPC_RECORDS: `how` is the number of producers, 1 to 64; capacity in bytes of each of them. */
struct records : detail::ring<detail::record_calls> {
    using calls = detail::record_calls;

    struct producer : detail::record_producer<calls> {
        /* push, with the hint that more is coming: it may be invisible until the next flush. */
        IPC_CALL_ result push_more(const void *data, size_t n)
        {
            return calls::c_push_more(&h_, data, n);
        }
        IPC_CALL_ result flush() { return calls::c_flush(&h_); }
        /* Which process has the other end; 0: none. */
        uint64_t peer() const { return calls::c_producer_peer(&h_); }
#ifdef __cpp_lib_span
        IPC_CALL_ result push_more(std::span<const std::byte> data)
        {
            return push_more(data.data(), data.size());
        }
#endif
    };

    struct consumer : detail::record_consumer<calls> {
        /* Which process is the producer; 0: none, or there may be several. */
        uint64_t peer() const { return calls::c_consumer_peer(&h_); }
        void replay(uint64_t n) { calls::c_replay(&h_, n); }
        result source(ipc_record_sender &from) const { return calls::c_source(&h_, &from); }
        result ended() { return calls::c_ended(&h_); }
        void merge(std::chrono::nanoseconds patience) { calls::c_merge(&h_, patience.count()); }
        void watch_producers() { calls::c_watch_producers(&h_); }
    };
};

/* IPC_RECORD_BROADCAST: capacity in bytes, `how` as of broadcast. */
struct record_broadcast : detail::ring<detail::record_broadcast_calls> {
    using calls = detail::record_broadcast_calls;
    using producer = detail::writer<calls, detail::record_producer<calls>>;
    using consumer = detail::reader<calls, detail::record_consumer<calls>>;
};

/* ------------------------------------------------------------------ elements without messages */

/* IPC_STREAM. Both ends never wait but in send, recv and wait. */
template <IPC_MESSAGE_ T, int Version = 0>
struct stream : detail::ring<detail::stream_calls<T, Version>> {
    static_assert(is_message_v<T>, "an element is copied byte by byte");
    using calls = detail::stream_calls<T, Version>;
    using regions = typename calls::c_regions;

    class producer : public detail::end<detail::producer_of<calls>> {
      public:
        /* As many as there is room for: count(). */
        IPC_CALL_ result push_n(const T *from, size_t n)
        {
            return calls::c_push_n(&this->h_, from, n);
        }
        /* All, or none. */
        IPC_CALL_ result push_all(const T *from, size_t n)
        {
            return calls::c_push_all(&this->h_, from, n);
        }
        IPC_CALL_ result send(const T *from, size_t n, deadline d)
        {
            return calls::c_send(&this->h_, from, n, d.ns());
        }
        /* Room for n in a row, to be filled in; null: there is none. */
        IPC_CALL_ T *claim(size_t n) { return calls::c_claim(&this->h_, n); }
        IPC_CALL_ result commit(size_t n) { return calls::c_commit(&this->h_, n); }
        /* The two pieces of room, and how many elements they have together. */
        size_t room(regions &r) { return calls::c_room(&this->h_, &r); }
        result wait(size_t n, deadline d) { return calls::c_producer_wait(&this->h_, n, d.ns()); }
        uint64_t was_size() { return calls::c_producer_was_size(&this->h_); }
        bool twice() const { return calls::c_producer_twice(&this->h_) != 0; }
#ifdef __cpp_lib_span
        IPC_CALL_ result push_n(std::span<const T> from)
        {
            return push_n(from.data(), from.size());
        }
        IPC_CALL_ result push_all(std::span<const T> from)
        {
            return push_all(from.data(), from.size());
        }
        IPC_CALL_ result send(std::span<const T> from, deadline d)
        {
            return send(from.data(), from.size(), d);
        }
#endif
    };

    class consumer : public detail::end<detail::consumer_of<calls>> {
      public:
        IPC_CALL_ result pop_n(T *to, size_t n) { return calls::c_pop_n(&this->h_, to, n); }
        IPC_CALL_ result pop_all(T *to, size_t n) { return calls::c_pop_all(&this->h_, to, n); }
        IPC_CALL_ result recv(T *to, size_t n, deadline d)
        {
            return calls::c_recv(&this->h_, to, n, d.ns());
        }
        /* n in a row, in place; null: there are fewer. */
        IPC_CALL_ const T *peek(size_t n) { return calls::c_peek(&this->h_, n); }
        IPC_CALL_ result release(size_t n) { return calls::c_release(&this->h_, n); }
        /* The two pieces of what is there, and how many elements they have together. */
        size_t data(regions &r) { return calls::c_data(&this->h_, &r); }
        result wait(size_t n, deadline d) { return calls::c_consumer_wait(&this->h_, n, d.ns()); }
        uint64_t was_size() { return calls::c_consumer_was_size(&this->h_); }
        bool twice() const { return calls::c_consumer_twice(&this->h_) != 0; }
#ifdef __cpp_lib_span
        IPC_CALL_ result pop_n(std::span<T> to) { return pop_n(to.data(), to.size()); }
        IPC_CALL_ result pop_all(std::span<T> to) { return pop_all(to.data(), to.size()); }
        IPC_CALL_ result recv(std::span<T> to, deadline d) { return recv(to.data(), to.size(), d); }
#endif
    };
};

/* ------------------------------------------------------------------ requests and replies */

/* IPC_CALL: capacity is the callers at a time. */
template <IPC_MESSAGE_ Q, IPC_MESSAGE_ A, int Version = 0>
struct call : detail::ring<detail::call_calls<Q, A, Version>> {
    static_assert(is_message_v<Q> && is_message_v<A>, "messages are copied byte by byte");
    using calls = detail::call_calls<Q, A, Version>;
    using slot = typename calls::c_slot; /* `request` and `reply`, in the same place */

    class client : public detail::end<detail::client_of<calls>> {
      public:
        /* ask, then collect once the reply is there: NAME_call. */
        IPC_CALL_ result operator()(const Q &request, A &reply, deadline d)
        {
            return calls::c_call(&this->h_, &request, &reply, d.ns());
        }
        IPC_CALL_ result ask(const Q &request) { return calls::c_ask(&this->h_, &request); }
        IPC_CALL_ result poll() { return calls::c_poll(&this->h_); }
        IPC_CALL_ result collect(A &reply) { return calls::c_collect(&this->h_, &reply); }
        IPC_CALL_ result claim(Q *&request) { return calls::c_claim(&this->h_, &request); }
        IPC_CALL_ result commit() { return calls::c_commit(&this->h_); }
        IPC_CALL_ const A *peek() const { return calls::c_peek(&this->h_); }
        void cancel() { calls::c_cancel(&this->h_); }
        result wait(deadline d) { return calls::c_client_wait(&this->h_, d.ns()); }
    };

    class server : public detail::end<detail::server_of<calls>> {
      public:
        /* Waits for a request, and takes it: NAME_serve. */
        IPC_CALL_ result serve(slot *&s, deadline d)
        {
            return calls::c_serve(&this->h_, &s, d.ns());
        }
        /* Waits for a request, and answers it by f(const Q &), which returns the reply. */
        template <class F, class = std::enable_if_t<std::is_invocable_r_v<A, F &, const Q &>>>
        IPC_CALL_ result serve(F &&f, deadline d)
        {
            slot *s;
            result r = serve(s, d);

            if (r) {
                s->reply = f(static_cast<const Q &>(s->request));
                r = answer(s);
            }
            return r;
        }
        IPC_CALL_ slot *take() { return calls::c_take(&this->h_); }
        IPC_CALL_ result answer(slot *s) { return calls::c_answer(&this->h_, s); }
        /* Which process asks, as an id of the segment: NAME_server_peer. */
        uint64_t peer(const slot *s) const { return calls::c_server_peer(&this->h_, s); }
    };
};

} // namespace ipc

#undef IPC_CALL_
#undef IPC_MESSAGE_

#endif
