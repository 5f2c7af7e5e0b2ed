/* Made by tools/amalgamate. Change these files, not this one: src/ipc_shm.h
 * src/common/version.h src/common/prelude.h src/common/linux.h src/common/peer.h
 * src/common/deadline.h src/shm/layout.h src/shm/identity.h src/shm/map.h src/shm/open.h
 * src/shm/pass.h src/shm/members.h src/shm/objects.h */
/*
 * ipc_shm.h - shared memory segments that are whole or absent, and know who is attached and alive.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * A segment is found by name (POSIX shared memory: what shm_open calls "/NAME") or handed over as a
 * descriptor (memfd, sealed). Inside is a small directory of named objects, so that one segment
 * carries several rings, and a table of members, whose deaths the kernel proves. Needs Linux 3.17
 * with /proc, Concurrency Kit (libck-dev) and libc; C99 to C23, C++11 to C++23.
 *
 *     #include "ipc_shm.h"
 *
 *     struct ipc_shm seg;                                       // one process
 *     struct ipc_shm_object o;
 *     int rc = ipc_shm_create(&seg, "feed", 1 << 20);
 *     rc = rc ? rc : ipc_shm_make(&seg, "table", 0, 4096, &o);  // 4096 zeroed bytes at o.mem
 *     rc = rc ? rc : ipc_shm_publish(&seg, &o);                 // now others can find them
 *     if (rc)
 *         errx(1, "%s", ipc_shm_why(&seg));
 *
 *     rc = ipc_shm_open(&seg, "feed", ipc_in_ms(1000));         // another: waits up to a second
 *     rc = rc ? rc : ipc_shm_find(&seg, "table", 0, &o);        // within the same second
 *
 * Contract
 *   - An opener sees a whole segment or none: it is allocated, mapped and filled in under no name,
 *     then linked to its name in one step. A creator that dies before leaves nothing behind.
 *   - All memory is allocated before it is mapped: a full /dev/shm is -ENOSPC here, not a SIGBUS
 *     later.
 *   - A name whose creator lives is -EEXIST to ipc_shm_create. One whose creator is dead, or has
 *     closed it, is taken over with its objects and their contents: a program that was killed and
 *     started again goes on. Where the size asked for differs, or IPC_SHM_FRESH is given, the
 *     remains are discarded instead, if nobody has them open.
 *   - A named segment is private to the user unless told otherwise: mode 0600 whatever the umask;
 *     symbolic links are not followed; a segment of another owner, or open to more people than
 *     asked, is refused; descriptors are closed on exec.
 *   - A sealed segment can be opened by each process that its descriptor is handed to, whichever
 *     user that process runs as; it may hand the descriptor on. No other process can open it, but
 *     for one that may trace a holder, and so read the holder's memory anyway.
 *   - Nothing read from a segment is trusted: sizes and offsets are checked against what the kernel
 *     says at attach, and then kept in the handle.
 *   - Nobody is dead because he is slow. A member is dead when the kernel has released the lock
 * that its open file description held, or says that its process is gone (pid and start time).
 *   - Every refusal has an errno of its own and a sentence: ipc_shm_why.
 *
 * Caveats
 *   - Whoever may write a named segment may also truncate it, and then access is SIGBUS. Fix: share
 *     named segments within one user only, and give others a sealed one (name NULL) by descriptor.
 *   - Names outlive processes. Fix: ipc_shm_unlink when the work is done; after a crash the next
 *     ipc_shm_create takes over.
 *   - systemd deletes a user's segments at the last logout (RemoveIPC=yes in logind.conf). Fix: a
 *     system user, or RemoveIPC=no.
 *   - In containers /dev/shm is often 64 MB, and private to the container. Fix: docker run
 *     --shm-size, --ipc; or a sealed segment, which is not part of it.
 *   - ipc_shm_unlink, like unlink, frees the name, not the memory: who has the segment open keeps
 *     it, who comes later gets another one. Fix: unlink once, by one side, when both are attached.
 *   - In strict ISO modes (-std=c99) include it before any header of libc, or define _GNU_SOURCE.
 *
 * How it works
 *   The file is one page of constants and counters, members, objects, then the objects' memory:
 *
 *       | header | 64 members | 64 objects | memory, handed out from the front, never taken back |
 *
 *   member: whoever gets the write lock on byte i of the file (open file description lock) owns
 *   entry i, writes its pid, start time and a new id there, and holds the lock until it closes the
 *   segment or dies. Ids are never used twice, so a word in shared memory that holds one can be
 *   compared and swapped without fear of a successor.
 *
 *   object: its state word is FREE, or MAKING with a hash of the name and the maker's id, or READY.
 *
 *       FREE --CAS by a maker--> MAKING(hash, id) --CAS by the same maker--> READY
 *                                     |    ^
 *                                     '----' CAS by a maker of the same name, when id is dead
 *
 *   Entries are searched from the first and never become free again, so two makers of one name meet
 *   at the same entry.
 */
#ifndef IPC_SHM_H
#define IPC_SHM_H 1

/* >>version  src/common/version.h */
/* The version of all four headers, which must be the same, and not that of what is in memory:
 * IPC_RING_LAYOUT and IPC_SHM_LAYOUT. */
#if defined(IPC_RING_VERSION_NUMBER) && IPC_RING_VERSION_NUMBER != 900
#error "two ipc_*.h of different versions: copy all of them from one release"
#endif
#ifndef IPC_RING_VERSION
#define IPC_RING_VERSION "0.9.0"
#define IPC_RING_VERSION_MAJOR 0
#define IPC_RING_VERSION_MINOR 9
#define IPC_RING_VERSION_PATCH 0
#define IPC_RING_VERSION_NUMBER 900 /* 10000 * major + 100 * minor + patch */
#endif

/* >>prelude  src/common/prelude.h */
/* What every header begins with. */
#ifndef IPC_SRC_COMMON_PRELUDE_H
#define IPC_SRC_COMMON_PRELUDE_H 1

#if !defined(_GNU_SOURCE) && !defined(_DEFAULT_SOURCE)
#define _DEFAULT_SOURCE 1
#endif

#include <ck_cc.h>
#include <ck_md.h>
#include <ck_pr.h>
#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#if defined(CK_MD_TSO) && !defined(__x86_64__) && !defined(__i386__) && !defined(__s390x__) &&     \
    !defined(__sparc__)
#error "ck_md.h says CK_MD_TSO, but this target reorders stores: install its own Concurrency Kit"
#endif
/* On a 32-bit target CK_F_PR_LOAD_64 may stand for two 32-bit moves. Only ARMv7 (ldrexd) and x32
 * (64-bit registers) load 64 bits at once there. */
#if !defined(CK_F_PR_LOAD_64) || (__SIZEOF_POINTER__ < 8 && !defined(__x86_64__) &&                \
                                  !defined(__ARM_ARCH_7A__) && !defined(__ARM_ARCH_7__))
#error "these headers need 64-bit atomic loads and stores, which Concurrency Kit does not have here"
#endif

/* How each function is declared. A program that compiles the headers once, into a library, may
 * define the first otherwise. */
#ifndef IPC_INLINE
#define IPC_INLINE CK_CC_INLINE static
#endif
#define IPC_FORCE_INLINE CK_CC_FORCE_INLINE static

#endif

/* >>linux  src/common/linux.h */
/* What needs Linux, and what libc shows only if it is asked to before. */
#ifndef IPC_SRC_COMMON_LINUX_H
#define IPC_SRC_COMMON_LINUX_H 1

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

#ifndef __linux__
#error "ipc_shm.h, ipc_notify.h and ipc_channel.h need Linux; ipc_ring.h alone does not"
#endif
#if defined(__GLIBC__) && !defined(__USE_MISC)
#error "include the ipc_*.h before any header of libc, or compile with -D_GNU_SOURCE"
#endif

#endif

/* >>peer  src/common/peer.h */
/* Who attaches, and who is alive. */
#ifndef IPC_SRC_COMMON_PEER_H
#define IPC_SRC_COMMON_PEER_H 1

/*
 * The whole of what a ring, a notifier and the holder of their memory know of each other; ipc_shm.h
 * and ipc_notify.h define the same, and ipc_shm.h fills it in. Rings use id and alive. Without one
 * (NULL) nobody's death can be proven: an end stays taken until it is detached.
 */
struct ipc_peer {
    uint64_t id;                          /* mine; not 0 or ~0; never used by another process */
    int (*alive)(void *arg, uint64_t id); /* 0 only with proof that id is dead; NULL: none */
    /* Makes fds[0] readable when another member stirs or leaves, fds[1] when id dies (if not 0).
     * Opens those that are -1, as it can; the caller closes them. 0 when fds[0] is there. */
    int (*watch)(void *arg, uint64_t id, int fds[2]);
    void (*stir)(void *arg); /* makes the others' fds[0] readable */
    void *arg;               /* passed to them */
    char why[256];           /* out: the last refusal, in words */
};

#endif

/* >>deadline  src/common/deadline.h */
/* When a wait is to end. */
#ifndef IPC_SRC_COMMON_DEADLINE_H
#define IPC_SRC_COMMON_DEADLINE_H 1

/* Deadlines are nanoseconds of CLOCK_MONOTONIC, absolute. */
#define IPC_NOW INT64_C(0)    /* do not wait */
#define IPC_FOREVER INT64_MAX /* wait without limit */

IPC_INLINE int64_t ipc_clock(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* Nanoseconds until the deadline, 0 when it has passed. */
IPC_INLINE int64_t ipc_left_(int64_t deadline)
{
    int64_t now = deadline > IPC_NOW ? ipc_clock() : 0;

    return deadline > now ? deadline - now : 0;
}

/* The deadline ms milliseconds from now; IPC_FOREVER for a negative or very large ms. */
IPC_INLINE int64_t ipc_in_ms(int64_t ms)
{
    return ms < 0 || ms > INT64_MAX / 2000000 ? IPC_FOREVER : ipc_clock() + ms * 1000000;
}

#endif

/* >>layout  src/shm/layout.h */
/* What is where in a segment, and the handle of one. */
#ifndef IPC_SRC_SHM_LAYOUT_H
#define IPC_SRC_SHM_LAYOUT_H 1

#include <limits.h>
#include <stdarg.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

/* ------------------------------------------------------------------ layout */

#define IPC_SHM_MAGIC UINT64_C(0x316d68735f637069) /* "ipc_shm1" */
#define IPC_SHM_ABI 1u
#define IPC_SHM_ORDER 0x01020304u   /* stored by a machine of our byte order */
#define IPC_SHM_SWAPPED 0x04030201u /* and by one of the other */
#define IPC_SHM_LINE 64u            /* objects are aligned to it */
#define IPC_SHM_MEMBERS 64u
#define IPC_SHM_OBJECTS 64u
#define IPC_SHM_NAME_MAX 63u /* bytes of an object's name, without the final NUL */

struct ipc_shm_member_ {
    uint64_t id;     /* 0: nobody. Stored by the holder of this entry's lock alone. */
    uint64_t start;  /* of the process, in clock ticks since boot */
    uint64_t pid_ns; /* inode of the PID namespace in which pid counts */
    uint32_t pid;
    uint32_t candidate; /* 1: is here to take the segment over or replace it, not to use it */
    unsigned char pad[32];
};

struct ipc_shm_entry_ {
    uint64_t state;  /* see above; compare-and-swap by makers */
    uint64_t offset; /* below: written by the maker while MAKING, constant when READY */
    uint64_t size;
    uint32_t type;
    char name[IPC_SHM_NAME_MAX + 1];
    unsigned char pad[36];
};

struct ipc_shm_header_ {
    /* Constant before the segment has a name. magic is stored last. */
    uint64_t magic;
    uint32_t abi;
    uint32_t order;
    uint32_t line;
    uint32_t members;
    uint32_t objects;
    uint32_t pad0;
    uint64_t size; /* of the file */
    unsigned char pad1[24];
    /* Counters, by compare-and-swap or fetch-and-add of whoever needs one. */
    uint64_t used;       /* bytes of the file that are handed out */
    uint64_t generation; /* of the last id */
    uint64_t creator;    /* id of who created it or took it over; see CONDEMNED */
    unsigned char pad2[4096 - 64 - 24];
    struct ipc_shm_member_ member[IPC_SHM_MEMBERS];
    struct ipc_shm_entry_ entry[IPC_SHM_OBJECTS];
};

#define IPC_SHM_ASSERT_(name, condition) typedef char ipc_shm_assert_##name[(condition) ? 1 : -1];
IPC_SHM_ASSERT_(member, sizeof(struct ipc_shm_member_) == 64)
IPC_SHM_ASSERT_(entry, sizeof(struct ipc_shm_entry_) == 128)
IPC_SHM_ASSERT_(header, sizeof(struct ipc_shm_header_) == 16384)
IPC_SHM_ASSERT_(counters, offsetof(struct ipc_shm_header_, used) == 64)

/* An id: generation, then the index of its member entry. 40 bits, to fit a state word. */
#define IPC_SHM_ID_ ((UINT64_C(1) << 40) - 1)
/* Beside the creator's id: it is about to unlink the segment, which nobody may join any more. */
#define IPC_SHM_CONDEMNED_ (UINT64_C(1) << 63)

/* A state word: FREE, or kind and a hash of the name, and the maker's id below. */
#define IPC_SHM_FREE_ UINT64_C(0)
#define IPC_SHM_MAKING_ (UINT64_C(1) << 62)
#define IPC_SHM_READY_ (UINT64_C(2) << 62)
#define IPC_SHM_HASH_ (((UINT64_C(1) << 22) - 1) << 40)

/* ------------------------------------------------------------------ handles */

#define IPC_SHM_NO_PREFAULT 1u /* leave page faults for the first touch */
#define IPC_SHM_MLOCK 2u       /* keep the pages in memory; see lock_rc */
#define IPC_SHM_HUGE 4u        /* use huge pages; see huge_rc */
#define IPC_SHM_FRESH 8u       /* create: discard what a dead creator left, do not take it over */

struct ipc_shm_options {
    mode_t mode;    /* create: a named one's permissions. open: the most it may permit */
    uid_t owner;    /* open: whose it must be; (uid_t)-1: the caller's */
    gid_t group;    /* create: its group; (gid_t)-1: the caller's */
    unsigned flags; /* IPC_SHM_* above */
};
/* What the calls without options use: struct ipc_shm_options o = IPC_SHM_DEFAULTS; */
#define IPC_SHM_DEFAULTS                                                                           \
    {                                                                                              \
        0600, (uid_t)-1, (gid_t)-1, 0                                                              \
    }

/* An open segment. Private to its process; threads may share it but for open, create and close.
 * A child that inherits it by fork becomes a member of its own at its next call. */
struct ipc_shm {
    struct ipc_peer peer; /* for the caller: ipc_shm_peer */
    struct ipc_shm_header_ *base;
    size_t size;      /* of the mapping */
    int64_t deadline; /* of the open: ipc_shm_find waits as long */
    pid_t pid;        /* that peer.id stands for */
    uint64_t pid_ns;  /* inode of our PID namespace, 0 where others' pids cannot be judged */
    unsigned flags;   /* of the options */
    int fd;           /* holds the member's lock; poll or fstat it, do not close it */
    int created;      /* 1 made by this call, 2 taken over from a dead creator, 0 opened */
    int lock_rc;      /* IPC_SHM_MLOCK: 0 locked, else a negative errno that says why not */
    int huge_rc; /* IPC_SHM_HUGE: 0 granted by the kernel, else why not; memory is usual then */
};

/* An object in a segment. */
struct ipc_shm_object {
    void *mem; /* 64-byte aligned */
    size_t size;
    uint32_t type;
    uint32_t index; /* in the directory */
    char name[IPC_SHM_NAME_MAX + 1];
};

/* ------------------------------------------------------------------ refusals */

/* Keeps a sentence for ipc_shm_why and returns rc. Also for those who build on segments. */
__attribute__((format(printf, 3, 4), unused)) static int ipc_shm_refuse(struct ipc_shm *seg, int rc,
                                                                        const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    (void)vsnprintf(seg->peer.why, sizeof seg->peer.why, format, arguments);
    va_end(arguments);
    return rc;
}

/* The last refusal of a call with this handle, in one line: what it was and, where there is one,
 * the remedy. Valid until the next call. */
IPC_INLINE const char *ipc_shm_why(const struct ipc_shm *seg)
{
    return seg->peer.why;
}

#endif

/* >>identity  src/shm/identity.h */
/* Which process a member is, and whether it is dead. */
#ifndef IPC_SRC_SHM_IDENTITY_H
#define IPC_SRC_SHM_IDENTITY_H 1

/* ------------------------------------------------------------------ proofs of life and death */

/* Reads a process's start time, in clock ticks since boot, from its /proc/.../stat. 0, -ESRCH when
 * there is only its zombie, or the negative errno of open. */
IPC_INLINE int ipc_shm_started_(const char *path, uint64_t *start)
{
    char text[1024], *p;
    ssize_t n;
    int fd, why, field, state = 0;
    long threads = 0;

    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    n = read(fd, text, sizeof text - 1);
    why = n < 0 ? -errno : -ESRCH; /* it died between open and read */
    (void)close(fd);
    if (n <= 0)
        return why;
    text[n] = '\0';
    p = strrchr(text, ')'); /* its name may hold anything, also blanks and parentheses */
    if (p == NULL)
        return -EPROTO;
    for (field = 2; field < 22; field++) {
        p = strchr(p, ' ');
        if (p == NULL)
            return -EPROTO;
        p++;
        if (field + 1 == 3)
            state = *p;
        else if (field + 1 == 20)
            threads = strtol(p, NULL, 10);
    }
    *start = strtoull(p, NULL, 10);
    /* The first thread may be a zombie while others run on: the process lives. */
    return (state == 'Z' || state == 'X') && threads <= 1 ? -ESRCH : 0;
}

/* The inode of this process's PID namespace, 0 if it cannot be told. */
IPC_INLINE uint64_t ipc_shm_pid_ns_(void)
{
    struct stat st;

    return stat("/proc/self/ns/pid", &st) == 0 ? (uint64_t)st.st_ino : 0;
}

/* 1 when the process with this pid in our namespace is gone, or is not the one that started then.
 */
IPC_INLINE int ipc_shm_gone_(pid_t pid, uint64_t then)
{
    char path[32];
    uint64_t start = 0;
    int rc;

    if (kill(pid, 0) != 0 && errno == ESRCH)
        return 1;
    (void)snprintf(path, sizeof path, "/proc/%ld/stat", (long)pid);
    rc = ipc_shm_started_(path, &start);
    return rc == -ESRCH || (rc == 0 && start != then);
}

/* 1 when /proc is that of our namespace. After unshare it may still be another's, where a pid is a
 * stranger's. */
IPC_INLINE int ipc_shm_proc_is_ours_(void)
{
    char self[16];
    ssize_t n = readlink("/proc/self", self, sizeof self - 1);

    self[n > 0 ? n : 0] = '\0';
    if (strtol(self, NULL, 10) != (long)getpid())
        return 0;
    return 1;
}

#ifndef F_OFD_GETLK
#define F_OFD_GETLK 36
#define F_OFD_SETLK 37
#endif

/* Asks for (F_OFD_SETLK) or after (F_OFD_GETLK) the lock on a member's byte. Open file description
 * locks: released on any death, kept when the process closes another descriptor of the file. */
IPC_INLINE int ipc_shm_lock_(int fd, int how, unsigned member, short *type)
{
    struct flock lock;
    int rc;

    memset(&lock, 0, sizeof lock);
    lock.l_type = *type;
    lock.l_whence = SEEK_SET;
    lock.l_start = (off_t)member;
    lock.l_len = 1;
    rc = fcntl(fd, how, &lock);
    *type = lock.l_type;
    return rc == 0 ? 0 : -errno;
}

/* 0 only with the kernel's word that the member is dead. */
IPC_INLINE int ipc_shm_alive_(const struct ipc_shm *seg, uint64_t id)
{
    const struct ipc_shm_member_ *m = &seg->base->member[id % IPC_SHM_MEMBERS];
    uint64_t then, ns;
    uint32_t pid;
    short type = F_WRLCK;

    if (id == 0 || ck_pr_load_64(&m->id) != id)
        return 0; /* it left, or another has its entry: only its lock's holder may change it */
    if (id == seg->peer.id)
        return 1;
    if (ipc_shm_lock_(seg->fd, F_OFD_GETLK, (unsigned)(id % IPC_SHM_MEMBERS), &type) == 0 &&
        type == F_UNLCK)
        return 0;
    /* Children that it forked may hold the lock still: ask for the process itself. */
    ck_pr_fence_load(); /* or pid could be older than the id. Partner: ipc_shm_join_ */
    pid = ck_pr_load_32(&m->pid);
    then = ck_pr_load_64(&m->start);
    ns = ck_pr_load_64(&m->pid_ns);
    /* Without it these could be of a successor. Partner: the first store fence in ipc_shm_join_. */
    ck_pr_fence_load();
    if (ck_pr_load_64(&m->id) != id)
        return 0;
    if (ns == 0 || ns != seg->pid_ns || pid == 0 || pid > INT_MAX)
        return 1; /* its pid means nothing here */
    return !ipc_shm_gone_((pid_t)pid, then);
}

/* Becomes a member, or a candidate. seg->fd is a file description of our own, seg->base is mapped.
 */
IPC_INLINE int ipc_shm_join_(struct ipc_shm *seg, int candidate)
{
    uint64_t start = 0, generation;
    unsigned i;
    int rc = ipc_shm_started_("/proc/self/stat", &start);

    if (rc != 0)
        return ipc_shm_refuse(seg, rc == -ENOENT ? -ENOSYS : rc, "cannot read /proc/self/stat: %s",
                              rc == -ENOENT ? "is /proc mounted?" : strerror(-rc));
    for (i = 0; i < IPC_SHM_MEMBERS; i++) {
        struct ipc_shm_member_ *m = &seg->base->member[i];
        short type = F_WRLCK;

        rc = ipc_shm_lock_(seg->fd, F_OFD_SETLK, i, &type);
        if (rc == -EAGAIN || rc == -EACCES)
            continue;
        if (rc != 0)
            return ipc_shm_refuse(seg, rc, "no open file description locks here: %s",
                                  strerror(-rc));
        do /* 0 would be nobody */
            generation = ck_pr_faa_64(&seg->base->generation, 1) + 1;
        while ((generation * IPC_SHM_MEMBERS & IPC_SHM_ID_) == 0);
        ck_pr_store_64(&m->id, 0);
        /* Without it the dead predecessor's id could be seen beside our pid. Partner: the load
         * fence in ipc_shm_alive_. */
        ck_pr_fence_store();
        ck_pr_store_32(&m->pid, (uint32_t)getpid());
        ck_pr_store_32(&m->candidate, (uint32_t)candidate);
        ck_pr_store_64(&m->start, start);
        seg->pid_ns = ipc_shm_pid_ns_();
        ck_pr_store_64(&m->pid_ns, seg->pid_ns);
        if (!ipc_shm_proc_is_ours_())
            seg->pid_ns = 0;
        /* Without it our id could be seen beside the predecessor's pid. Same partner. */
        ck_pr_fence_store();
        seg->pid = getpid();
        seg->peer.id = (generation * IPC_SHM_MEMBERS & IPC_SHM_ID_) + i;
        ck_pr_store_64(&m->id, seg->peer.id);
        return 0;
    }
    return ipc_shm_refuse(seg, -EUSERS, "all %u members' places are taken", IPC_SHM_MEMBERS);
}

#endif

/* >>map  src/shm/map.h */
/* Mapping, and giving back. */
#ifndef IPC_SRC_SHM_MAP_H
#define IPC_SRC_SHM_MAP_H 1

/* ------------------------------------------------------------------ mapping */

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif
#ifndef MADV_HUGEPAGE
#define MADV_HUGEPAGE 14
#endif

/* Asks for huge pages under the mapping: 0 granted, else why not. */
IPC_INLINE int ipc_shm_huge_(struct ipc_shm *seg)
{
    char policy[128];
    ssize_t n = -1;
    int fd = open("/sys/kernel/mm/transparent_hugepage/shmem_enabled", O_RDONLY | O_CLOEXEC);

    if (fd >= 0) {
        n = read(fd, policy, sizeof policy - 1);
        (void)close(fd);
    }
    if (n <= 0)
        return -EOPNOTSUPP;
    policy[n] = '\0';
    if (strstr(policy, "[never]") != NULL || strstr(policy, "[deny]") != NULL)
        return -EOPNOTSUPP;
    return madvise(seg->base, seg->size, MADV_HUGEPAGE) == 0 ? 0 : -errno;
}

/* Maps the file; at `at` if that is not NULL, over what is there. */
IPC_INLINE int ipc_shm_map_(struct ipc_shm *seg, void *at)
{
    void *base = mmap(at, seg->size, PROT_READ | PROT_WRITE,
                      MAP_SHARED | (at != NULL ? MAP_FIXED : 0), seg->fd, 0);

    if (base == MAP_FAILED)
        return ipc_shm_refuse(seg, -errno, "cannot map %zu bytes: %s", seg->size, strerror(errno));
    seg->base = (struct ipc_shm_header_ *)base;
    if ((seg->flags & IPC_SHM_HUGE) != 0 && seg->huge_rc != 0)
        seg->huge_rc = ipc_shm_huge_(seg);
    return 0;
}

/* Brings the pages in, by the options. The file is allocated, so this cannot fail for space. */
IPC_INLINE void ipc_shm_prefault_(struct ipc_shm *seg)
{
    size_t i;

    if ((seg->flags & IPC_SHM_NO_PREFAULT) == 0 &&
        madvise(seg->base, seg->size, MADV_POPULATE_WRITE) != 0) /* Linux before 5.14 */
        for (i = 0; i < seg->size; i += 4096)
            (void)ck_pr_load_8((uint8_t *)seg->base + i);
    if ((seg->flags & IPC_SHM_MLOCK) != 0)
        seg->lock_rc = mlock(seg->base, seg->size) == 0 ? 0 : -errno;
}

/* A fresh handle. Of the options, what was not tried was not granted. */
IPC_INLINE void ipc_shm_clear_(struct ipc_shm *seg, const struct ipc_shm_options *how)
{
    memset(seg, 0, sizeof *seg);
    seg->fd = -1;
    seg->flags = how->flags;
    seg->lock_rc = seg->huge_rc = -EOPNOTSUPP;
}

/*
 * Leaves the segment and unmaps it; objects' memory must not be touched any more. The name and what
 * is inside stay for the others and for the next. Closing a handle that a call has refused, or
 * closing twice, does nothing.
 */
IPC_INLINE void ipc_shm_close(struct ipc_shm *seg)
{
    /* An inherited member is the parent's: only unmap. */
    if (seg->base != NULL && seg->peer.id != 0 && seg->pid == getpid())
        ck_pr_store_64(&seg->base->member[seg->peer.id % IPC_SHM_MEMBERS].id, 0);
    if (seg->base != NULL)
        (void)munmap(seg->base, seg->size);
    if (seg->fd >= 0)
        (void)close(seg->fd);
    seg->base = NULL;
    seg->fd = -1;
    seg->peer.id = 0;
}

/* Closes and passes a refusal on. */
IPC_INLINE int ipc_shm_drop_(struct ipc_shm *seg, int rc)
{
    ipc_shm_close(seg);
    return rc;
}

/* A new file description of the file behind fd: the locks of one are one holder's. */
IPC_INLINE int ipc_shm_reopen_(struct ipc_shm *seg, int fd)
{
    char path[32];
    int own;

    (void)snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    own = open(path, O_RDWR | O_CLOEXEC);
    return own >= 0 ? own
                    : ipc_shm_refuse(seg, -errno, "cannot reopen %s: %s", path, strerror(errno));
}

/* A handle that came by fork: becomes a member of its own, at the same address. */
IPC_INLINE int ipc_shm_own_(struct ipc_shm *seg)
{
    int fd;

    if (seg->base == NULL)
        return -EINVAL; /* ipc_shm_why has why */
    if (seg->pid == getpid())
        return 0;
    fd = ipc_shm_reopen_(seg, seg->fd);
    if (fd < 0)
        return fd;
    (void)close(seg->fd);
    seg->fd = fd;
    seg->peer.id = 0;
    /* Mapped anew, because a mapping keeps the parent's description, and with it its lock. */
    if (ipc_shm_map_(seg, seg->base) != 0)
        return -ENOMEM;
    ipc_shm_prefault_(seg);
    return ipc_shm_join_(seg, 0);
}

#endif

/* >>open  src/shm/open.h */
/* Create and open. */
#ifndef IPC_SRC_SHM_OPEN_H
#define IPC_SRC_SHM_OPEN_H 1

/* ------------------------------------------------------------------ create and open */

#ifndef O_TMPFILE
#define O_TMPFILE (020000000 | O_DIRECTORY)
#endif
#ifndef F_ADD_SEALS
#define F_ADD_SEALS 1033
#define F_GET_SEALS 1034
#define F_SEAL_SEAL 1
#define F_SEAL_SHRINK 2
#define F_SEAL_GROW 4
#endif
#define IPC_SHM_SEALS_ (F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW)
#define IPC_SHM_DIR_ "/dev/shm/"

/* The file of a named segment. */
IPC_INLINE int ipc_shm_path_(struct ipc_shm *seg, char *path, size_t size, const char *name)
{
    if (*name == '\0' || strchr(name, '/') != NULL || strcmp(name, ".") == 0 ||
        strcmp(name, "..") == 0)
        return ipc_shm_refuse(seg, -EINVAL,
                              "segment name '%.64s': must not be empty, hold a slash, "
                              "or be . or ..",
                              name);
    if (strlen(name) > NAME_MAX)
        return ipc_shm_refuse(seg, -ENAMETOOLONG, "segment name of %zu bytes: at most %d",
                              strlen(name), NAME_MAX);
    (void)snprintf(path, size, IPC_SHM_DIR_ "%s", name);
    return 0;
}

/* A nameless file of `size` bytes, allocated and mapped. */
IPC_INLINE int ipc_shm_allocate_(struct ipc_shm *seg, const char *name, size_t size,
                                 const struct ipc_shm_options *how, int hugetlb)
{
    /* The mode of a memfd protects nothing: it is opened through a descriptor that was handed over,
     * or by a process that may trace a holder. A stricter mode would deny a receiver of another
     * user an open file description of its own, and with it its lock. */
    mode_t mode = name != NULL ? how->mode : 0666;
    struct rlimit limit;
    struct statvfs fs;
    int rc;

    seg->size = size;
    if (name != NULL)
        seg->fd = open(IPC_SHM_DIR_, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    else /* MFD_CLOEXEC, MFD_ALLOW_SEALING, MFD_HUGETLB */
        seg->fd = (int)syscall(SYS_memfd_create, "ipc_shm", hugetlb ? 7u : 3u);
    if (seg->fd < 0)
        return ipc_shm_refuse(seg, -errno, "cannot make a file in %s: %s",
                              name != NULL ? IPC_SHM_DIR_ : "memory", strerror(errno));
    if (how->group != (gid_t)-1 && fchown(seg->fd, (uid_t)-1, how->group) != 0)
        return ipc_shm_refuse(seg, -errno, "cannot give the segment to group %ld: %s",
                              (long)how->group, strerror(errno));
    if (fchmod(seg->fd, mode) != 0) /* not open's mode: that would be cut by the umask */
        return ipc_shm_refuse(seg, -errno, "cannot set mode %03o: %s", (unsigned)mode,
                              strerror(errno));
    /* Beyond this limit the kernel would send SIGXFSZ. */
    if (getrlimit(RLIMIT_FSIZE, &limit) == 0 && size > limit.rlim_cur)
        return ipc_shm_refuse(seg, -EFBIG, "segment of %zu bytes: RLIMIT_FSIZE is %llu", size,
                              (unsigned long long)limit.rlim_cur);
    if (ftruncate(seg->fd, (off_t)size) != 0) /* also where off_t has no room for size */
        return ipc_shm_refuse(seg, -EFBIG, "segment of %zu bytes: too large", size);
    rc = ipc_shm_map_(seg, NULL);
    if (rc != 0)
        return rc;
    if (seg->huge_rc == 0) /* by fault, as fallocate asks no mapping about huge pages */
        (void)madvise(seg->base, seg->size, MADV_POPULATE_WRITE);
    do
        rc = posix_fallocate(seg->fd, 0, (off_t)size);
    while (rc == EINTR);
    if (rc != 0)
        return ipc_shm_refuse(
            seg, -rc, "no space for %zu bytes in %s (%llu free): %s", size,
            name != NULL ? IPC_SHM_DIR_ : "memory",
            fstatvfs(seg->fd, &fs) == 0 ? (unsigned long long)fs.f_bavail * fs.f_frsize : 0,
            strerror(rc));
    if (name != NULL)
        return 0;
    if (fcntl(seg->fd, F_ADD_SEALS, IPC_SHM_SEALS_) != 0)
        return ipc_shm_refuse(seg, -errno, "cannot seal the memory: %s", strerror(errno));
    /* The kernel tells nobody what is done by the descriptor that memfd_create made: see
     * ipc_shm_watch_. */
    rc = ipc_shm_reopen_(seg, seg->fd);
    if (rc < 0)
        return rc;
    (void)close(seg->fd);
    seg->fd = rc;
    return 0;
}

/* A whole new segment with us as member and creator, under no name yet. */
IPC_INLINE int ipc_shm_build_(struct ipc_shm *seg, const char *name, size_t size,
                              const struct ipc_shm_options *how)
{
    struct ipc_shm_header_ *h;
    size_t huge = (size_t)2 << 20, all = sizeof *h + ((size + 4095) & ~(size_t)4095);
    int rc = -1;

    ipc_shm_clear_(seg, how);
    if (name == NULL && (how->flags & IPC_SHM_HUGE) != 0 && all <= SIZE_MAX / 2) {
        /* From the pool of huge pages, if there is one with enough in it. */
        seg->huge_rc = 0;
        rc = ipc_shm_allocate_(seg, name, (all + huge - 1) & ~(huge - 1), how, 1);
        if (rc != 0) {
            ipc_shm_close(seg);
            ipc_shm_clear_(seg, how);
        }
    }
    if (rc != 0)
        rc = ipc_shm_allocate_(seg, name, all, how, 0);
    if (rc != 0)
        return ipc_shm_drop_(seg, rc);
    ipc_shm_prefault_(seg);
    h = seg->base;
    h->abi = IPC_SHM_ABI;
    h->order = IPC_SHM_ORDER;
    h->line = IPC_SHM_LINE;
    h->members = IPC_SHM_MEMBERS;
    h->objects = IPC_SHM_OBJECTS;
    h->size = seg->size;
    h->used = sizeof *h;
    rc = ipc_shm_join_(seg, 0);
    if (rc != 0)
        return ipc_shm_drop_(seg, rc);
    h->creator = seg->peer.id;
    /* Others come by way of the kernel (link, or a descriptor), which orders all this before. */
    h->magic = IPC_SHM_MAGIC;
    seg->created = 1;
    return 0;
}

/* Maps and checks the segment behind seg->fd, whose owner and mode are in order, and joins it. */
IPC_INLINE int ipc_shm_attach_(struct ipc_shm *seg, const struct stat *st, int candidate)
{
    const struct ipc_shm_header_ *h;
    uint64_t magic, there;
    int rc;

    if (st->st_size < (off_t)sizeof *h || (uint64_t)st->st_size > SIZE_MAX)
        return ipc_shm_refuse(seg, -EPROTO, "not a segment of ipc_shm.h: a file of %lld bytes",
                              (long long)st->st_size);
    seg->size = (size_t)st->st_size;
    rc = ipc_shm_map_(seg, NULL);
    if (rc != 0)
        return rc;
    h = seg->base;
    magic = ck_pr_load_64(&h->magic);
    if ((there = ck_pr_load_32(&h->order)) == IPC_SHM_SWAPPED)
        return ipc_shm_refuse(seg, -EPROTO, "segment of another byte order");
    if (magic != IPC_SHM_MAGIC || there != IPC_SHM_ORDER)
        return ipc_shm_refuse(seg, -EPROTO, "not a segment of ipc_shm.h: magic is %016llx",
                              (unsigned long long)magic);
    if ((there = ck_pr_load_32(&h->abi)) != IPC_SHM_ABI)
        return ipc_shm_refuse(seg, -EPROTO, "segment of another version: ABI %llu there, %u here",
                              (unsigned long long)there, IPC_SHM_ABI);
    if (ck_pr_load_32(&h->line) != IPC_SHM_LINE || ck_pr_load_32(&h->members) != IPC_SHM_MEMBERS ||
        ck_pr_load_32(&h->objects) != IPC_SHM_OBJECTS)
        return ipc_shm_refuse(seg, -EPROTO,
                              "segment of another layout: %u-byte lines, %u members, "
                              "%u objects there",
                              ck_pr_load_32(&h->line), ck_pr_load_32(&h->members),
                              ck_pr_load_32(&h->objects));
    if ((there = ck_pr_load_64(&h->size)) != seg->size)
        return ipc_shm_refuse(seg, -EPROTO, "segment of %llu bytes was resized to %zu",
                              (unsigned long long)there, seg->size);
    return ipc_shm_join_(seg, candidate);
}

/* Whose it is and what it permits, against what was asked. */
IPC_INLINE int ipc_shm_trust_(struct ipc_shm *seg, const struct stat *st,
                              const struct ipc_shm_options *how)
{
    uid_t owner = how->owner != (uid_t)-1 ? how->owner : geteuid();

    if (!S_ISREG(st->st_mode))
        return ipc_shm_refuse(seg, -EPROTO, "not a segment of ipc_shm.h: not a regular file");
    if (st->st_uid != owner)
        return ipc_shm_refuse(seg, -EACCES, "segment belongs to user %ld, not %ld",
                              (long)st->st_uid, (long)owner);
    if ((st->st_mode & 0777 & ~how->mode) != 0)
        return ipc_shm_refuse(seg, -EACCES, "segment has mode %03o, at most %03o was asked for",
                              (unsigned)st->st_mode & 0777, (unsigned)how->mode);
    return 0;
}

/* One attempt to open by name. A condemned segment counts as absent, unless it is to be replaced.
 */
IPC_INLINE int ipc_shm_try_(struct ipc_shm *seg, const char *path, const char *name,
                            const struct ipc_shm_options *how, int replace)
{
    struct stat st;
    int rc;

    ipc_shm_clear_(seg, how);
    /* O_NONBLOCK: a FIFO of that name must not hold us up. */
    seg->fd = open(path, O_RDWR | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
    if (seg->fd < 0 && errno == ENOENT)
        return ipc_shm_refuse(seg, -ENOENT, "no segment '%s'", name);
    if (seg->fd < 0 && errno == ELOOP)
        return ipc_shm_refuse(seg, -ELOOP, "segment '%s' is a symbolic link", name);
    if (seg->fd < 0 || fstat(seg->fd, &st) != 0)
        return ipc_shm_refuse(seg, -errno, "cannot open segment '%s': %s", name, strerror(errno));
    rc = ipc_shm_trust_(seg, &st, how);
    rc = rc != 0 ? rc : ipc_shm_attach_(seg, &st, replace);
    if (rc != 0)
        return ipc_shm_drop_(seg, rc);
    /* Without it we could miss the condemnation and its author our membership. Partner: in
     * ipc_shm_inherit_. */
    ck_pr_fence_memory();
    if (!replace && (ck_pr_load_64(&seg->base->creator) & IPC_SHM_CONDEMNED_) != 0)
        return ipc_shm_drop_(seg,
                             ipc_shm_refuse(seg, -ENOENT, "segment '%s' is being replaced", name));
    ipc_shm_prefault_(seg);
    return 0;
}

IPC_INLINE int ipc_shm_others_live_(const struct ipc_shm *seg)
{
    unsigned i;

    for (i = 0; i < IPC_SHM_MEMBERS; i++) {
        const struct ipc_shm_member_ *m = &seg->base->member[i];
        uint64_t id = ck_pr_load_64(&m->id);

        /* A candidate can only come to use it by a compare-and-swap of creator, which fails now. */
        ck_pr_fence_load();
        if (id != 0 && id != seg->peer.id && ck_pr_load_32(&m->candidate) == 0 &&
            ipc_shm_alive_(seg, id))
            return 1;
    }
    return 0;
}

/* We opened what somebody created before. 0: its creator is dead and we are that now. -EAGAIN: it
 * is gone, or someone else was quicker; look again. -EEXIST: it is in use. */
IPC_INLINE int ipc_shm_inherit_(struct ipc_shm *seg, const char *path, const char *name,
                                size_t size, const struct ipc_shm_options *how)
{
    struct ipc_shm_header_ *h = seg->base;
    uint64_t creator = ck_pr_load_64(&h->creator);
    struct stat ours, named;
    /* As large as a new one of that size would be, or one rounded to huge pages. */
    int fits = seg->size >= sizeof *h + size && seg->size - sizeof *h - size < 4096;
    int fresh = !fits || (how->flags & IPC_SHM_FRESH) != 0 || (creator & IPC_SHM_CONDEMNED_) != 0;

    if (ipc_shm_alive_(seg, creator & IPC_SHM_ID_))
        return ipc_shm_refuse(seg, -EEXIST, "segment '%s' exists and its creator lives", name);
    if (!ck_pr_cas_64(&h->creator, creator,
                      fresh ? seg->peer.id | IPC_SHM_CONDEMNED_ : seg->peer.id))
        return -EAGAIN;
    if (!fresh) {
        ck_pr_store_32(&h->member[seg->peer.id % IPC_SHM_MEMBERS].candidate, 0);
        seg->created = 2;
        return 0;
    }
    /* Without it someone could join unseen. Partner: in ipc_shm_try_. */
    ck_pr_fence_memory();
    if (ipc_shm_others_live_(seg)) {
        ck_pr_store_64(&h->creator, creator & ~IPC_SHM_CONDEMNED_);
        return ipc_shm_refuse(seg, -EEXIST, "segment '%s' is left over%s, but in use by others",
                              name, fits ? "" : " with another size");
    }
    if (fstat(seg->fd, &ours) == 0 && lstat(path, &named) == 0 && ours.st_dev == named.st_dev &&
        ours.st_ino == named.st_ino && unlink(path) != 0)
        return ipc_shm_refuse(seg, -errno, "cannot remove what is left of segment '%s': %s", name,
                              strerror(errno));
    return -EAGAIN;
}

/* Gives a built segment its name: whole, at once, or not at all. */
IPC_INLINE int ipc_shm_link_(struct ipc_shm *seg, const char *path)
{
    char file[32];

    (void)snprintf(file, sizeof file, "/proc/self/fd/%d", seg->fd);
    if (linkat(AT_FDCWD, file, AT_FDCWD, path, AT_SYMLINK_FOLLOW) == 0)
        return 0;
    return ipc_shm_refuse(seg, -errno, "cannot name the segment %s: %s%s", path, strerror(errno),
                          errno == ENOENT ? "; is /proc mounted?" : "");
}

/*
 * Creates a segment with room for `size` bytes of objects, named `name` ("feed", no slash), or
 * nameless and sealed for name NULL. Where the name exists and its creator is dead or has closed
 * it, takes it over; see the contract above, and seg->created. Blocks only for the kernel: to
 * allocate and fault the pages in. A peer that is stopped meanwhile does not hold it up.
 *
 *   0
 *   -EEXIST        a live process created it, or others have the remains to be discarded open
 *   -EINVAL        size is 0, or the name is empty, has a slash, or is . or ..
 *   -ENAMETOOLONG  the name has more than 255 bytes
 *   -ENOSPC        /dev/shm or memory has not that many bytes; -EFBIG: nothing has, or RLIMIT_FSIZE
 *   -EACCES        what has the name belongs to another user or permits more than how->mode
 *   -EPROTO        what has the name is no segment, or one of another version or layout: see
 *                  ipc_shm_unlink
 *   -ELOOP         what has the name is a symbolic link; -EISDIR: a directory
 *   -EUSERS        64 processes have it open
 *   -ENOSYS        /proc is not mounted
 *   and what open, fchown, mmap and link say, such as -EMFILE, -EPERM and -ENOMEM
 */
IPC_INLINE int ipc_shm_create_with(struct ipc_shm *seg, const char *name, size_t size,
                                   const struct ipc_shm_options *how)
{
    char path[sizeof IPC_SHM_DIR_ + NAME_MAX];
    int rc, tries;

    ipc_shm_clear_(seg, how);
    if (size == 0 || size > SIZE_MAX / 2)
        return ipc_shm_refuse(seg, size == 0 ? -EINVAL : -EFBIG, "segment of %zu bytes", size);
    if (name == NULL)
        return ipc_shm_build_(seg, name, size, how);
    rc = ipc_shm_path_(seg, path, sizeof path, name);
    if (rc != 0)
        return rc;
    for (tries = 0; tries < 100; tries++) {
        rc = ipc_shm_try_(seg, path, name, how, 1);
        if (rc == 0) {
            rc = ipc_shm_inherit_(seg, path, name, size, how);
            if (rc == 0)
                return 0;
            ipc_shm_close(seg);
        } else if (rc == -ENOENT) {
            rc = ipc_shm_build_(seg, name, size, how);
            if (rc != 0)
                return rc;
            rc = ipc_shm_link_(seg, path);
            if (rc == 0)
                return 0;
            ipc_shm_close(seg);
            rc = rc == -EEXIST ? -EAGAIN : rc;
        }
        if (rc != -EAGAIN)
            return rc;
    }
    return ipc_shm_refuse(seg, -EEXIST, "segment '%s' changes hands all the time", name);
}

IPC_INLINE int ipc_shm_create(struct ipc_shm *seg, const char *name, size_t size)
{
    static const struct ipc_shm_options how = IPC_SHM_DEFAULTS;

    return ipc_shm_create_with(seg, name, size, &how);
}

/* Waits a little for what others may do, at most to the deadline. 0 when that has passed. */
IPC_INLINE int ipc_shm_wait_(int64_t deadline)
{
    struct timespec nap = {0, 1000000};
    int64_t left = ipc_left_(deadline);

    if (left == 0)
        return 0;
    if (left < nap.tv_nsec)
        nap.tv_nsec = (long)left;
    (void)nanosleep(&nap, NULL);
    return 1;
}

/*
 * Opens the segment `name`; waits for it until the deadline (ipc_in_ms, IPC_NOW, IPC_FOREVER),
 * looking once a millisecond. ipc_shm_find with this handle waits until the same deadline.
 *
 *   0
 *   -ENOENT     there is none and the deadline is IPC_NOW
 *   -ETIMEDOUT  there was none until the deadline
 *   -EINVAL, -ENAMETOOLONG, -EACCES, -EPROTO, -ELOOP, -EUSERS, -ENOSYS and the kernel's errors as
 *   of ipc_shm_create; they do not wait
 */
IPC_INLINE int ipc_shm_open_with(struct ipc_shm *seg, const char *name, int64_t deadline,
                                 const struct ipc_shm_options *how)
{
    char path[sizeof IPC_SHM_DIR_ + NAME_MAX];
    int rc;

    ipc_shm_clear_(seg, how);
    if (name == NULL)
        return ipc_shm_refuse(seg, -EINVAL, "no name");
    rc = ipc_shm_path_(seg, path, sizeof path, name);
    if (rc != 0)
        return rc;
    do
        rc = ipc_shm_try_(seg, path, name, how, 0);
    while (rc == -ENOENT && ipc_shm_wait_(deadline));
    if (rc == -ENOENT && deadline != IPC_NOW)
        return ipc_shm_refuse(seg, -ETIMEDOUT,
                              "no segment '%s' until the deadline: is the program "
                              "that creates it running?",
                              name);
    seg->deadline = deadline;
    return rc;
}

IPC_INLINE int ipc_shm_open(struct ipc_shm *seg, const char *name, int64_t deadline)
{
    static const struct ipc_shm_options how = IPC_SHM_DEFAULTS;

    return ipc_shm_open_with(seg, name, deadline, &how);
}

/* Opens the segment, or creates it where there is none; whoever comes first. seg->created tells.
 * One that exists may have another size. The errors of ipc_shm_create; -EBUSY for
 * -EEXIST: someone has been replacing it for a tenth of a second, and may be stopped. */
IPC_INLINE int ipc_shm_open_or_create(struct ipc_shm *seg, const char *name, size_t size,
                                      const struct ipc_shm_options *how)
{
    static const struct ipc_shm_options defaults = IPC_SHM_DEFAULTS;
    int rc, tries = 100;

    how = how != NULL ? how : &defaults;
    do {
        rc = ipc_shm_open_with(seg, name, IPC_NOW, how);
        if (rc == -ENOENT)
            rc = ipc_shm_create_with(seg, name, size, how);
        /* Created meanwhile, or being replaced: by one that is stopped, if it takes long. */
    } while (rc == -EEXIST && --tries > 0 && ipc_shm_wait_(IPC_FOREVER));
    if (rc == -EEXIST)
        rc = ipc_shm_refuse(seg, -EBUSY, "segment '%s' is being replaced", name);
    return rc;
}

/* Frees the name, whatever stands behind it: also the remedy for what -EPROTO refuses. Who has the
 * segment open keeps it. 0, or -ENOENT, -EINVAL, -ENAMETOOLONG, or -EACCES or -EPERM for what
 * belongs to others. */
IPC_INLINE int ipc_shm_unlink(const char *name)
{
    struct ipc_shm unused;
    char path[sizeof IPC_SHM_DIR_ + NAME_MAX];
    int rc = name == NULL ? -EINVAL : ipc_shm_path_(&unused, path, sizeof path, name);

    return rc != 0 ? rc : unlink(path) == 0 ? 0 : -errno;
}

#endif

/* >>pass  src/shm/pass.h */
/* Passing a segment on. */
#ifndef IPC_SRC_SHM_PASS_H
#define IPC_SRC_SHM_PASS_H 1

/* ------------------------------------------------------------------ passing a segment on */

/* What goes with the descriptor. */
struct ipc_shm_hello_ {
    uint64_t magic;
    uint64_t size;
};

/* Room for one descriptor, aligned as a control message must be. */
union ipc_shm_control_ {
    struct cmsghdr header;
    char room[CMSG_SPACE(sizeof(int))];
};

/* Sends the segment's descriptor over a connected Unix socket (stream, datagram or seqpacket). Any
 * user at the other end can use a sealed segment then, and only this user a named one. 0, or what
 * sendmsg says: -EPIPE (without a signal), -EAGAIN on a non-blocking socket, ... */
IPC_INLINE int ipc_shm_send(struct ipc_shm *seg, int socket)
{
    struct ipc_shm_hello_ hello = {IPC_SHM_MAGIC, 0};
    union ipc_shm_control_ control;
    struct iovec io;
    struct msghdr message;
    struct cmsghdr *c;
    ssize_t n;

    hello.size = seg->size;
    memset(&control, 0, sizeof control);
    memset(&message, 0, sizeof message);
    io.iov_base = &hello;
    io.iov_len = sizeof hello;
    message.msg_iov = &io;
    message.msg_iovlen = 1;
    message.msg_control = &control;
    message.msg_controllen = sizeof control.room;
    c = CMSG_FIRSTHDR(&message);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(c), &seg->fd, sizeof(int));
    do
        n = sendmsg(socket, &message, MSG_NOSIGNAL);
    while (n < 0 && errno == EINTR);
    if (n != (ssize_t)sizeof hello)
        return ipc_shm_refuse(seg, n < 0 ? -errno : -EIO, "cannot send the segment: %s",
                              n < 0 ? strerror(errno) : "cut short");
    return 0;
}

/* Waits until the socket has something to read. 0, -ETIMEDOUT or poll's error. */
IPC_INLINE int ipc_shm_poll_(int socket, int64_t deadline)
{
    struct pollfd p;
    int n;

    p.fd = socket;
    p.events = POLLIN;
    for (;;) {
        int64_t left = ipc_left_(deadline);

        n = poll(&p, 1, left < 1000000000 ? (int)((left + 999999) / 1000000) : 1000);
        if (n > 0)
            return 0;
        if (n < 0 && errno != EINTR)
            return -errno;
        if (n == 0 && left == 0)
            return -ETIMEDOUT;
    }
}

/* Takes the one descriptor out of a message; -1 if there is none, or not one. Closes any others. */
IPC_INLINE int ipc_shm_descriptor_(struct msghdr *message)
{
    struct cmsghdr *c;
    int fd, kept = -1, count = 0;

    for (c = CMSG_FIRSTHDR(message); c != NULL; c = CMSG_NXTHDR(message, c)) {
        size_t i, n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);

        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
            continue;
        for (i = 0; i < n; i++) {
            memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(int));
            if (count++ == 0)
                kept = fd;
            else
                (void)close(fd);
        }
    }
    if (count > 1 || (message->msg_flags & MSG_CTRUNC) != 0) {
        if (kept >= 0)
            (void)close(kept);
        kept = -1;
    }
    return kept;
}

/*
 * Opens the segment that the peer sends over a connected Unix socket with ipc_shm_send, waiting for
 * it until the deadline, which ipc_shm_find with this handle keeps too. A sealed one is accepted
 * from anyone, as its size can change no more; any other must pass what ipc_shm_open asks for.
 *
 *   0
 *   -ETIMEDOUT  nothing came until the deadline
 *   -EPIPE      the peer closed the socket
 *   -EPROTO     what came is no segment, or one of another version or layout
 *   -EACCES     a segment that is not sealed, of another user, or that permits more than 0600; or
 *               sealed memory of another maker than ipc_shm_create, whose mode keeps this user out
 *   -EUSERS, -ENOSYS and the kernel's errors as of ipc_shm_open
 */
IPC_INLINE int ipc_shm_recv(struct ipc_shm *seg, int socket, int64_t deadline)
{
    static const struct ipc_shm_options how = IPC_SHM_DEFAULTS;
    struct ipc_shm_hello_ hello;
    union ipc_shm_control_ control;
    struct iovec io;
    struct msghdr message;
    struct stat st;
    ssize_t n;
    int fd, rc, seals;

    ipc_shm_clear_(seg, &how);
    do {
        rc = ipc_shm_poll_(socket, deadline);
        if (rc != 0)
            return ipc_shm_refuse(seg, rc, "no segment came: %s", strerror(-rc));
        memset(&message, 0, sizeof message);
        io.iov_base = &hello;
        io.iov_len = sizeof hello;
        message.msg_iov = &io;
        message.msg_iovlen = 1;
        message.msg_control = &control;
        message.msg_controllen = sizeof control.room;
        n = recvmsg(socket, &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
    } while (n < 0 && (errno == EINTR || errno == EAGAIN));
    if (n < 0)
        return ipc_shm_refuse(seg, -errno, "no segment came: %s", strerror(errno));
    fd = ipc_shm_descriptor_(&message);
    if (n == 0 && fd < 0)
        return ipc_shm_refuse(seg, -EPIPE, "the peer closed the socket");
    if (fd < 0 || n != (ssize_t)sizeof hello || hello.magic != IPC_SHM_MAGIC) {
        if (fd >= 0)
            (void)close(fd);
        return ipc_shm_refuse(seg, -EPROTO, "what came is no segment of ipc_shm.h");
    }
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
        (void)close(fd);
        return ipc_shm_refuse(seg, -EPROTO, "what came is no memory");
    }
    seals = fcntl(fd, F_GET_SEALS);
    rc = seals >= 0 && (seals & IPC_SHM_SEALS_) == IPC_SHM_SEALS_ ? 0
                                                                  : ipc_shm_trust_(seg, &st, &how);
    seg->fd = rc != 0 ? rc : ipc_shm_reopen_(seg, fd);
    (void)close(fd);
    if (seg->fd < 0)
        return seg->fd;
    rc = fstat(seg->fd, &st) != 0 ? -errno : ipc_shm_attach_(seg, &st, 0);
    if (rc != 0)
        return ipc_shm_drop_(seg, rc);
    ipc_shm_prefault_(seg);
    seg->deadline = deadline;
    return 0;
}

#endif

/* >>members  src/shm/members.h */
/* Who is attached. */
#ifndef IPC_SRC_SHM_MEMBERS_H
#define IPC_SRC_SHM_MEMBERS_H 1

/* ------------------------------------------------------------------ members */

/* 1 while the member with this id may be alive, 0 when it has left or the kernel says that it is
 * dead. A few system calls, some 10 microseconds; not for the path of a message. Wait-free. */
IPC_INLINE int ipc_shm_alive(struct ipc_shm *seg, uint64_t id)
{
    return ipc_shm_own_(seg) != 0 || ipc_shm_alive_(seg, id);
}

/* struct ipc_peer's alive, watch and stir. */
IPC_INLINE int ipc_shm_peer_alive_(void *arg, uint64_t id)
{
    return ipc_shm_alive((struct ipc_shm *)arg, id);
}

/* A process with that pid, if it is the one that is the member: readable when it dies. */
IPC_INLINE int ipc_shm_pidfd_(struct ipc_shm *seg, uint64_t id)
{
    int fd = -1;
#ifdef SYS_pidfd_open
    const struct ipc_shm_member_ *m = &seg->base->member[id % IPC_SHM_MEMBERS];
    uint32_t pid = ck_pr_load_32(&m->pid);

    if (pid == 0 || pid > INT_MAX || seg->pid_ns == 0 || ck_pr_load_64(&m->pid_ns) != seg->pid_ns)
        return -1;
    fd = (int)syscall(SYS_pidfd_open, (pid_t)pid, 0);
    /* The pid was its, if it lives after the open. */
    if (fd >= 0 && !ipc_shm_alive_(seg, id)) {
        (void)close(fd);
        return -1;
    }
#else
    (void)seg, (void)id;
#endif
    return fd;
}

/* The kernel tells by inotify when somebody closes his descriptor of the segment, which a death
 * does, also in another PID namespace; and when somebody reads from it, which nobody does but by
 * ipc_shm_stir_. A process that left its descriptor to children is told of by its pidfd. */
IPC_INLINE int ipc_shm_watch_(void *arg, uint64_t id, int fds[2])
{
    struct ipc_shm *seg = (struct ipc_shm *)arg;
    char path[32];
    int rc = ipc_shm_own_(seg);

    if (rc != 0)
        return rc;
    if (id != 0 && fds[1] < 0)
        fds[1] = ipc_shm_pidfd_(seg, id);
    if (fds[0] < 0)
        fds[0] = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    if (fds[0] < 0)
        return -errno;
    (void)snprintf(path, sizeof path, "/proc/self/fd/%d", seg->fd);
    return inotify_add_watch(fds[0], path, IN_ACCESS | IN_CLOSE_WRITE) >= 0 ? 0 : -errno;
}

IPC_INLINE void ipc_shm_stir_(void *arg)
{
    const struct ipc_shm *seg = (const struct ipc_shm *)arg;
    char byte;

    if (pread(seg->fd, &byte, 1, 0) < 0)
        return; /* whoever sleeps looks for himself before long */
}

/* Who we are in this segment, and who else is alive, for attaching to a ring or a notifier in it;
 * seg must stay where it is, and open, as long as they are used. After fork the child's first call
 * makes it a member of its own; where that fails, id is 0 and ipc_shm_why says why. */
IPC_INLINE struct ipc_peer *ipc_shm_peer(struct ipc_shm *seg)
{
    (void)ipc_shm_own_(seg);
    seg->peer.alive = ipc_shm_peer_alive_;
    seg->peer.watch = ipc_shm_watch_;
    seg->peer.stir = ipc_shm_stir_;
    seg->peer.arg = seg;
    return &seg->peer;
}

/* A member, as ipc_shm_who saw it. */
struct ipc_shm_member {
    uint64_t id;
    uint64_t pid_ns; /* inode of the PID namespace in which pid counts; 0: not known */
    pid_t pid;
    int alive; /* 0: proven dead; its place is free for the next */
    int here;  /* 1: pid counts in our namespace, too */
    int me;    /* 1: this handle */
};

/*
 * Who has the segment open, in place i of 0 <= i < IPC_SHM_MEMBERS, for tools that list them. A
 * member joins when it opens the segment, or first uses a handle that it inherited by fork; it
 * leaves when it closes it or dies.
 *
 *   0
 *   -ENOENT  nobody, or it came or left just now
 *   -EINVAL  the segment is not open
 */
IPC_INLINE int ipc_shm_who(struct ipc_shm *seg, unsigned i, struct ipc_shm_member *who)
{
    const struct ipc_shm_member_ *m;
    uint32_t pid;

    if (ipc_shm_own_(seg) != 0)
        return -EINVAL;
    memset(who, 0, sizeof *who);
    if (i >= IPC_SHM_MEMBERS)
        return -ENOENT;
    m = &seg->base->member[i];
    who->id = ck_pr_load_64(&m->id);
    /* Both, or these could be of another than id. Partners: the store fences in ipc_shm_join_. */
    ck_pr_fence_load();
    pid = ck_pr_load_32(&m->pid);
    who->pid_ns = ck_pr_load_64(&m->pid_ns);
    ck_pr_fence_load();
    if (who->id == 0 || who->id % IPC_SHM_MEMBERS != i || ck_pr_load_64(&m->id) != who->id)
        return -ENOENT;
    who->pid = pid <= INT_MAX ? (pid_t)pid : 0;
    who->alive = ipc_shm_alive_(seg, who->id);
    who->here = who->pid_ns != 0 && who->pid_ns == seg->pid_ns;
    who->me = who->id == seg->peer.id;
    return 0;
}

#endif

/* >>objects  src/shm/objects.h */
/* Named objects in a segment. */
#ifndef IPC_SRC_SHM_OBJECTS_H
#define IPC_SRC_SHM_OBJECTS_H 1

/* ------------------------------------------------------------------ objects */

IPC_INLINE int ipc_shm_object_name_(struct ipc_shm *seg, const char *name, uint64_t *hash)
{
    uint64_t h = 14695981039346656037u; /* FNV-1a: G. Fowler, L. C. Noll, K.-P. Vo, 1991 */
    size_t i;

    for (i = 0; name[i] != '\0'; i++)
        h = (h ^ (unsigned char)name[i]) * 1099511628211u;
    *hash = h & IPC_SHM_HASH_;
    if (i == 0 || i > IPC_SHM_NAME_MAX)
        return ipc_shm_refuse(seg, i == 0 ? -EINVAL : -ENAMETOOLONG,
                              "object name of %zu bytes: 1 to %u", i, IPC_SHM_NAME_MAX);
    return 0;
}

/* Reads entry i into *o. 0, -ENOENT unless it is ready, -EBADMSG when it points outside. */
IPC_INLINE int ipc_shm_entry_at_(struct ipc_shm *seg, unsigned i, struct ipc_shm_object *o)
{
    const struct ipc_shm_entry_ *e = &seg->base->entry[i];
    uint64_t offset, size;

    if ((ck_pr_load_64(&e->state) & IPC_SHM_READY_) == 0)
        return -ENOENT;
    /* Without it the entry could be older than its state. Partner: in ipc_shm_publish. */
    ck_pr_fence_load();
    offset = ck_pr_load_64(&e->offset);
    size = ck_pr_load_64(&e->size);
    if (offset < sizeof *seg->base || offset % IPC_SHM_LINE != 0 || offset > seg->size ||
        size > seg->size - offset)
        return ipc_shm_refuse(seg, -EBADMSG, "the segment's directory is corrupt");
    o->mem = (unsigned char *)seg->base + offset;
    o->size = (size_t)size;
    o->type = ck_pr_load_32(&e->type);
    o->index = i;
    memcpy(o->name, e->name, sizeof o->name);
    o->name[IPC_SHM_NAME_MAX] = '\0';
    return 0;
}

/* The object in directory entry i, 0 <= i < IPC_SHM_OBJECTS, for tools that list them. 0, -ENOENT
 * where there is none, -EBADMSG when the entry is corrupt. Wait-free. */
IPC_INLINE int ipc_shm_list(struct ipc_shm *seg, unsigned i, struct ipc_shm_object *o)
{
    return seg->base != NULL && i < IPC_SHM_OBJECTS ? ipc_shm_entry_at_(seg, i, o) : -ENOENT;
}

/* Takes `size` bytes from the front of what is left. Lock-free; who loses a thousand times over
 * meets a hostile writer. */
IPC_INLINE int ipc_shm_take_(struct ipc_shm *seg, size_t size, uint64_t *offset)
{
    uint64_t used;
    int tries;

    for (tries = 0; tries < 1000; tries++) {
        used = ck_pr_load_64(&seg->base->used);
        if (used < sizeof *seg->base || used > seg->size)
            break;
        *offset = (used + IPC_SHM_LINE - 1) & ~(uint64_t)(IPC_SHM_LINE - 1);
        if (*offset > seg->size || size > seg->size - *offset)
            return ipc_shm_refuse(seg, -ENOSPC, "no room for %zu bytes in a segment with %llu free",
                                  size, (unsigned long long)(seg->size - used));
        if (ck_pr_cas_64(&seg->base->used, used, *offset + size))
            return 0;
    }
    return ipc_shm_refuse(seg, -EBADMSG, "the segment's directory is corrupt");
}

/* Maps `bytes` bytes of the segment, which begin at mem, twice in a row, so that what wraps lies in
 * a row. NULL where that cannot be: they are not whole pages, or the kernel has no room. To be
 * given back by ipc_shm_unmap_twice, before or after the segment is closed. */
IPC_INLINE void *ipc_shm_map_twice(struct ipc_shm *seg, const void *mem, size_t bytes)
{
    off_t offset = (off_t)((const unsigned char *)mem - (const unsigned char *)seg->base);
    int flags = MAP_SHARED | MAP_FIXED;
    unsigned char *at;

#ifdef MAP_POPULATE
    flags |= (seg->flags & IPC_SHM_NO_PREFAULT) == 0 ? MAP_POPULATE : 0;
#endif
    if (bytes == 0 || bytes > SIZE_MAX / 4 || (bytes | (size_t)offset) % (size_t)getpagesize() != 0)
        return NULL;
    at = (unsigned char *)mmap(NULL, 2 * bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if ((void *)at == MAP_FAILED)
        return NULL;
    if (mmap(at, bytes, PROT_READ | PROT_WRITE, flags, seg->fd, offset) != MAP_FAILED &&
        mmap(at + bytes, bytes, PROT_READ | PROT_WRITE, flags, seg->fd, offset) != MAP_FAILED)
        return at;
    (void)munmap(at, 2 * bytes);
    return NULL;
}

IPC_INLINE void ipc_shm_unmap_twice(void *at, size_t bytes)
{
    (void)munmap(at, 2 * bytes);
}

/*
 * Makes an object of `size` zeroed bytes, 64-byte aligned, that nobody else sees before
 * ipc_shm_publish. `type` is yours; ipc_shm_find asks for it. A maker that dies in between leaves
 * the name to the next maker; one that is stopped holds that name, and no other. Lock-free. Objects
 * stay as long as the segment.
 *
 *   0
 *   -EEXIST        there is one of that name
 *   -EBUSY         a live process is making it
 *   -EINVAL        the name or the size is empty; -ENAMETOOLONG: more than 63 bytes of name
 *   -ENOSPC        the segment has not that many bytes left, or 64 objects already. In the first
 *                  case the name keeps its place: a smaller object of that name may take it
 *   -EBADMSG       the directory is corrupt
 */
IPC_INLINE int ipc_shm_make(struct ipc_shm *seg, const char *name, uint32_t type, size_t size,
                            struct ipc_shm_object *o)
{
    struct ipc_shm_entry_ *e;
    uint64_t hash, state, offset = 0;
    unsigned i = 0, looks = 0;
    int rc = ipc_shm_object_name_(seg, name, &hash);

    rc = rc != 0 ? rc : ipc_shm_own_(seg);
    if (rc != 0)
        return rc;
    if (size == 0)
        return ipc_shm_refuse(seg, -EINVAL, "object '%s' of 0 bytes or an impossible geometry",
                              name);
    while (i < IPC_SHM_OBJECTS && looks++ < 100 * IPC_SHM_OBJECTS) {
        e = &seg->base->entry[i];
        state = ck_pr_load_64(&e->state);
        if (state != IPC_SHM_FREE_ && (state & IPC_SHM_HASH_) != hash) {
            i++;
        } else if ((state & IPC_SHM_READY_) != 0) {
            rc = ipc_shm_entry_at_(seg, i, o);
            if (rc != 0)
                return rc;
            if (strcmp(o->name, name) == 0)
                return ipc_shm_refuse(seg, -EEXIST, "object '%s' exists", name);
            i++;
        } else if (state != IPC_SHM_FREE_ && ipc_shm_alive_(seg, state & IPC_SHM_ID_)) {
            return ipc_shm_refuse(seg, -EBUSY, "object '%s' is being made by another", name);
        } else if (ck_pr_cas_64(&e->state, state, IPC_SHM_MAKING_ | hash | seg->peer.id)) {
            break;
        } /* else somebody was quicker: look at the entry again */
    }
    if (i == IPC_SHM_OBJECTS || looks > 100 * IPC_SHM_OBJECTS)
        return ipc_shm_refuse(seg, -ENOSPC, "no room for object '%s': %u are there", name,
                              IPC_SHM_OBJECTS);
    rc = ipc_shm_take_(seg, size, &offset);
    if (rc != 0) {
        /* Whoever makes this name next may go on here: our id is nobody's in this state. */
        (void)ck_pr_cas_64(&e->state, IPC_SHM_MAKING_ | hash | seg->peer.id,
                           IPC_SHM_MAKING_ | hash);
        return rc;
    }
    ck_pr_store_64(&e->offset, offset);
    ck_pr_store_64(&e->size, size);
    ck_pr_store_32(&e->type, type);
    memset(e->name, 0, sizeof e->name);
    memcpy(e->name, name, strlen(name));
    o->mem = (unsigned char *)seg->base + offset;
    o->size = size;
    o->type = type;
    o->index = i;
    memcpy(o->name, e->name, sizeof o->name);
    memset(o->mem, 0, size);
    return 0;
}

/* Lets the others find the object just made. Wait-free. 0, or -EINVAL when this handle is not
 * making it. */
IPC_INLINE int ipc_shm_publish(struct ipc_shm *seg, const struct ipc_shm_object *o)
{
    struct ipc_shm_entry_ *e = &seg->base->entry[o->index % IPC_SHM_OBJECTS];
    uint64_t state = ck_pr_load_64(&e->state);

    /* Without it the object could be found before it is filled in. Partner: ipc_shm_entry_at_. */
    ck_pr_fence_release();
    if ((state & ~IPC_SHM_HASH_) != (IPC_SHM_MAKING_ | seg->peer.id) ||
        !ck_pr_cas_64(&e->state, state, IPC_SHM_READY_ | (state & IPC_SHM_HASH_)))
        return ipc_shm_refuse(seg, -EINVAL, "object '%s' is not being made by this handle",
                              o->name);
    return 0;
}

/*
 * Finds an object by name; waits for it until the deadline of the open, not at all in a segment
 * that this handle created. What it points to stays valid until the close.
 *
 *   0
 *   -ENOENT     there is none; -ETIMEDOUT: there was none until the deadline
 *   -EPROTO     it has another type
 *   -EBADMSG    the directory is corrupt
 *   -EINVAL, -ENAMETOOLONG  as of ipc_shm_make
 */
IPC_INLINE int ipc_shm_find(struct ipc_shm *seg, const char *name, uint32_t type,
                            struct ipc_shm_object *o)
{
    uint64_t hash;
    unsigned i;
    int rc = ipc_shm_object_name_(seg, name, &hash);

    if (rc != 0 || seg->base == NULL)
        return rc != 0 ? rc : -EINVAL;
    do {
        for (i = 0; i < IPC_SHM_OBJECTS; i++) {
            if ((ck_pr_load_64(&seg->base->entry[i].state) & IPC_SHM_HASH_) != hash)
                continue;
            rc = ipc_shm_entry_at_(seg, i, o);
            if (rc == -EBADMSG)
                return rc;
            if (rc != 0 || strcmp(o->name, name) != 0)
                continue;
            if (o->type != type)
                return ipc_shm_refuse(seg, -EPROTO, "object '%s' has type %08x there, %08x here",
                                      name, o->type, type);
            return 0;
        }
    } while (ipc_shm_wait_(seg->deadline));
    return ipc_shm_refuse(seg, seg->deadline == IPC_NOW ? -ENOENT : -ETIMEDOUT,
                          "no object '%s' in the segment", name);
}

#endif

#endif /* IPC_SHM_H */
