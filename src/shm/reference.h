/* Reference: all types, constants and functions of ipc_shm.h that a program uses. */
#ifndef IPC_SRC_SHM_REFERENCE_H
#define IPC_SRC_SHM_REFERENCE_H 1

#include "../common/peer.h"
#include "../common/deadline.h"

/*
 * What holds for all functions below
 *   - They return 0, or a negative errno, where nothing else is said. After an error ipc_shm_why
 *     has a sentence about it, but after -EINVAL for a handle that is not open.
 *   - A handle belongs to one process. Its threads may share it, but for the calls that create,
 *     open, receive and close. A child that inherits a handle by fork becomes a member of its own
 *     at its next call; where that fails the call returns, besides its own errors:
 *     -EUSERS (64 processes have the segment open), -ENOSYS (/proc is not mounted), -ENOMEM,
 *     -EBADF (others have closed the handle's descriptor), and what open says for /proc/self/fd,
 *     such as -EMFILE and -EACCES. Its threads may make that call at once.
 *   - None waits for another process, but for those that take a deadline. A peer that is stopped
 *     or killed at any instruction holds up none of them longer than that.
 */

/* ------------------------------------------------------------------ limits */

#define IPC_SHM_LINE 64u     /* bytes to which objects are aligned */
#define IPC_SHM_MEMBERS 64u  /* processes that have one segment open, at most */
#define IPC_SHM_OBJECTS 64u  /* objects in one segment, at most */
#define IPC_SHM_PIDFDS 64u   /* members that one handle watches by pidfds, at most; see watch.h */
#define IPC_SHM_NAME_MAX 63u /* bytes of an object's name, without the final NUL */

/* ------------------------------------------------------------------ options and handles */

#define IPC_SHM_NO_PREFAULT 1u /* leave page faults for the first touch */
#define IPC_SHM_MLOCK 2u       /* keep the pages in memory; see lock_rc */
#define IPC_SHM_HUGE 4u        /* use huge pages; see huge_rc */
#define IPC_SHM_FRESH 8u       /* create: discard what a dead creator left, do not take it over */

struct ipc_shm_options {
    mode_t mode;    /* create: a named segment's permissions. open: the most it may permit */
    uid_t owner;    /* open: the user that must own it; (uid_t)-1: the caller's */
    gid_t group;    /* create: its group; (gid_t)-1: the caller's */
    unsigned flags; /* IPC_SHM_* above */
    size_t largest; /* receive: the most bytes that the segment may have; 0: any number */
};
/* What the calls without options use: struct ipc_shm_options o = IPC_SHM_DEFAULTS; */
#define IPC_SHM_DEFAULTS                                                                           \
    {                                                                                              \
        0600, (uid_t)-1, (gid_t)-1, 0, 0                                                           \
    }

struct ipc_shm_header_;

/* An open segment. The caller may read `size`, `fd`, `created`, `lock_rc` and `huge_rc`. */
struct ipc_shm {
    struct ipc_peer peer;         /* by ipc_shm_peer */
    struct ipc_shm_header_ *base; /* of the mapping; NULL: not open */
    size_t size;                  /* of the mapping, in bytes */
    int64_t deadline;             /* of the open; ipc_shm_find waits until then */
    pid_t pid;                    /* the process whose id peer.id is. Stored last: see map.h */
    pid_t joining;                /* the process that is about to get one; 0: none */
    uint64_t pid_ns;              /* inode of our PID namespace; 0: pids cannot be judged here */
    uint64_t device, inode;       /* of the segment's file */
    unsigned flags;               /* of the options */
    int fd;      /* its description holds the member's lock. May be polled; not to be closed */
    int created; /* 1: made by this call, 2: taken over from a dead creator, 0: opened */
    int lock_rc; /* IPC_SHM_MLOCK: 0 locked, else a negative errno that says why not */
    int huge_rc; /* IPC_SHM_HUGE: 0 granted by the kernel, else why not: pages are of usual size.
                    Those of /dev/shm are granted by its mount option `huge` */
    struct ipc_watch watch; /* from here on: see watch.h */
    uint64_t watcher, watching;
    int epoll, inotify; /* if watcher is not 0 */
    struct {
        uint64_t id;
        int fd;
    } pidfd[IPC_SHM_PIDFDS];
};

/* An object in a segment. */
struct ipc_shm_object {
    void *mem; /* 64-byte aligned; valid until the segment is closed */
    size_t size;
    uint32_t type;
    uint32_t index; /* in the directory */
    char name[IPC_SHM_NAME_MAX + 1];
};

/* A member, as ipc_shm_who saw it. */
struct ipc_shm_member {
    uint64_t id;
    uint64_t pid_ns; /* inode of the PID namespace in which pid counts; 0: not known */
    pid_t pid;
    int alive; /* 0: proven dead; its place is free for the next */
    int here;  /* 1: pid counts in our namespace, too */
    int me;    /* 1: this handle */
};

/* ------------------------------------------------------------------ create, open and close */

/*
 * Creates a segment with room for `size` bytes of objects (1 to SIZE_MAX / 2): named `name`
 * ("feed", 1 to 255 bytes without a slash), or nameless and sealed when name is NULL. Where the
 * name exists, and its creator is dead or has closed the segment, takes the segment over, see the
 * contract above; seg->created says which. Blocks only for the kernel, while it allocates the pages
 * and faults them in. On an error seg is closed. ipc_shm_create uses IPC_SHM_DEFAULTS.
 *
 *   0
 *   -EEXIST        a live process created it, or the remains are to be discarded while others have
 *                  them open, or the name changed hands 100 times meanwhile
 *   -EINVAL        size is 0, or the name is empty, has a slash, or is . or ..
 *   -ENAMETOOLONG  the name has more than 255 bytes
 *   -ENOSPC        /dev/shm, or memory, has not that many bytes
 *   -EFBIG         no file can have that size, or RLIMIT_FSIZE forbids it
 *   -EACCES        what has the name belongs to another user, or permits more than how->mode, or
 *                  its owner holds a file lease on it
 *   -EPERM         the remains are to be discarded, but are another user's. They stay as they are
 *   -EPROTO        what has the name is no segment, or one of another version, byte order or
 *                  layout. ipc_shm_unlink removes it
 *   -ELOOP         what has the name is a symbolic link
 *   -EISDIR        what has the name is a directory
 *   -EUSERS        64 processes have it open
 *   -ENOSYS        /proc is not mounted
 *   and what open, fchown, fchmod, mmap and linkat say, such as -EMFILE, -EPERM and -ENOMEM (mmap
 *   also where the process locks all that it maps, and RLIMIT_MEMLOCK forbids so much)
 */
IPC_INLINE int ipc_shm_create(struct ipc_shm *seg, const char *name, size_t size);
IPC_INLINE int ipc_shm_create_with(struct ipc_shm *seg, const char *name, size_t size,
                                   const struct ipc_shm_options *how);

/*
 * Opens the segment `name`. Where there is none, waits for one until the deadline: looks once a
 * millisecond at first, and once in 16 ms after a tenth of a second. ipc_shm_find with this handle
 * waits until the same deadline. On an error seg is closed. ipc_shm_open uses IPC_SHM_DEFAULTS.
 *
 *   0
 *   -ENOENT     there is none, and the deadline is IPC_NOW
 *   -ETIMEDOUT  there was none until the deadline
 *   -EINTR      a signal handler ran while it waited. One that runs between a look and the nap
 *               after it does not end the wait: give a deadline, and ask what the handler has set
 *   -EINVAL     name is NULL or empty, has a slash, or is . or ..; the deadline is no absolute time
 *               (IPC_NOW)
 *   -EACCES     it belongs to another user than how->owner, or permits more than how->mode, or its
 *               owner holds a file lease on it
 *   -ENAMETOOLONG, -EPROTO, -ELOOP, -EISDIR, -EUSERS, -ENOSYS, and what open and mmap say: as of
 *   ipc_shm_create, at once
 */
IPC_INLINE int ipc_shm_open(struct ipc_shm *seg, const char *name, int64_t deadline);
IPC_INLINE int ipc_shm_open_with(struct ipc_shm *seg, const char *name, int64_t deadline,
                                 const struct ipc_shm_options *how);

/*
 * Opens the segment `name`, or creates it where there is none: for processes any of which may come
 * first. seg->created says which. A segment that exists may have another size. `how` may be NULL:
 * IPC_SHM_DEFAULTS. Blocks for a tenth of a second at most, besides what ipc_shm_create does.
 *
 *   0
 *   -EBUSY  another process, which may be stopped, has been replacing it for a tenth of a second
 *   and the other errors of ipc_shm_create, but for -EEXIST
 */
IPC_INLINE int ipc_shm_open_or_create(struct ipc_shm *seg, const char *name, size_t size,
                                      const struct ipc_shm_options *how);

/*
 * Leaves the segment and unmaps it. The memory of its objects must not be touched any more, so
 * detach the rings first; a ring that is still attached ends for its peers as if it was detached
 * (-EPIPE), but what its consumer took last may be seen again. A process that ends without this
 * call counts as killed. The name and the objects stay for the other processes and for later ones.
 * Does nothing when the handle was refused, or is closed already. In a child that inherited the
 * handle by fork, and has not used it, the parent stays a member.
 */
IPC_INLINE void ipc_shm_close(struct ipc_shm *seg);

/*
 * Frees the name, whatever it stands for, also what -EPROTO refuses. A process that has the segment
 * open keeps it. Needs no handle.
 *
 *   0
 *   -ENOENT            nothing has that name
 *   -EINVAL            name is NULL or empty, has a slash, or is . or ..
 *   -ENAMETOOLONG      the name has more than 255 bytes
 *   -EACCES, -EPERM    what has the name belongs to another user
 *   -EISDIR            what has the name is a directory
 */
IPC_INLINE int ipc_shm_unlink(const char *name);

/* What the last refusal of a call with this handle was, in one line, and the remedy where there is
 * one. Valid until the next call. Wait-free. */
IPC_INLINE const char *ipc_shm_why(const struct ipc_shm *seg);

/* Keeps a sentence for ipc_shm_why, cut to 255 bytes, and returns rc. For code that builds on
 * segments. */
__attribute__((format(printf, 3, 4), unused)) static int ipc_shm_refuse(struct ipc_shm *seg, int rc,
                                                                        const char *format, ...);

/* ------------------------------------------------------------------ passing a segment on */

/*
 * Sends the segment's descriptor over a connected Unix socket (stream, datagram or seqpacket). A
 * sealed segment can then be used by the process at the other end, whichever user that process runs
 * as; a named one, and one in huge pages of the pool, by this user alone: huge pages that a process
 * gives back (FALLOC_FL_PUNCH_HOLE) can be gone for good, and then access is SIGBUS. Blocks as the
 * socket does.
 *
 *   0
 *   -EPERM   the segment is in huge pages of the pool, and the socket was not connected by a
 *            process of this user (SO_PEERCRED)
 *   -EBADF   the segment is not open, or its descriptor was closed by others
 *   -EPIPE   the other end is closed; there is no SIGPIPE
 *   -EAGAIN  the socket does not block, and its buffer is full
 *   -EIO     the socket took a part of the message
 *   and what sendmsg says, such as -ENOTCONN
 */
IPC_INLINE int ipc_shm_send(struct ipc_shm *seg, int socket);

/*
 * Opens the segment that the peer sends over a connected Unix socket by ipc_shm_send. Waits for it
 * until the deadline; ipc_shm_find with this handle waits until the same deadline. A sealed segment
 * is accepted from any user, as its size cannot change any more. Any other has to pass the checks
 * of ipc_shm_open. Whatever the sender holds on the memory, the deadline is kept. Memory of another
 * user is neither faulted in nor locked before its first touch, whatever how->flags say: the sender
 * may have left it empty, and this process would pay for it. State the size that the program
 * expects by how->largest. ipc_shm_recv uses IPC_SHM_DEFAULTS. On an error seg is closed.
 *
 *   0
 *   -ETIMEDOUT  nothing came until the deadline
 *   -EINTR      a signal handler ran while it waited
 *   -EMSGSIZE   it is larger than how->largest
 *   -EINVAL     the deadline is no absolute time (IPC_NOW)
 *   -EPIPE      the peer closed the socket
 *   -EPROTO     what came is no segment, or one of another version, byte order or layout
 *   -EACCES     it is not sealed, and belongs to another user than how->owner or permits more than
 *               how->mode; or it is sealed memory that ipc_shm_create did not make, whose mode
 *               keeps this user out; or its owner holds a file lease on it; or it is in huge pages
 *               of the pool, and another user's
 *   -EUSERS     64 processes have it open
 *   -ENOSYS     /proc is not mounted
 *   and what poll, recvmsg, open and mmap say, such as -ECONNRESET, -EMFILE and -ENOMEM
 */
IPC_INLINE int ipc_shm_recv(struct ipc_shm *seg, int socket, int64_t deadline);
IPC_INLINE int ipc_shm_recv_with(struct ipc_shm *seg, int socket, int64_t deadline,
                                 const struct ipc_shm_options *how);

/* ------------------------------------------------------------------ members */

/*
 * Which process this is in the segment, and which others are alive: for attaching to a ring or a
 * notifier in it. seg must stay where it is, and open, as long as these are used. After fork the
 * child's first call makes it a member of its own; where that fails, the result's id is 0 and
 * ipc_shm_why says why. Never NULL. Lock-free.
 */
IPC_INLINE struct ipc_peer *ipc_shm_peer(struct ipc_shm *seg);

/* 1 while the member `id` may be alive, 0 when it has left or the kernel says that it is dead; a
 * member that is stopped is alive. A few system calls, some 10 microseconds: not for the path of a
 * message. Wait-free. */
IPC_INLINE int ipc_shm_alive(struct ipc_shm *seg, uint64_t id);

/*
 * Which process has place i of the segment (0 <= i < IPC_SHM_MEMBERS), for tools that list them. A
 * member joins when it opens the segment, or first uses a handle that it inherited by fork; it
 * leaves when it closes the segment or dies. Wait-free.
 *
 *   0
 *   -ENOENT  no member has it, or one came or left just now, or i is out of range
 *   -EINVAL  the segment is not open, or, after fork, the caller cannot become a member
 */
IPC_INLINE int ipc_shm_who(struct ipc_shm *seg, unsigned i, struct ipc_shm_member *who);

/* ------------------------------------------------------------------ objects */

/*
 * Makes an object of `size` zeroed bytes, aligned to 64, which no other process finds before
 * ipc_shm_publish. Names have 1 to 63 bytes. `type` is the caller's own; ipc_shm_find asks for it.
 * A maker that dies before it publishes leaves the name to the next maker; one that is stopped
 * holds that name, and no other. An object stays as long as the segment. Lock-free.
 *
 *   0
 *   -EEXIST        there is an object of that name
 *   -EBUSY         a live process is making it
 *   -EINVAL        the name is empty, or size is 0, or the segment is not open
 *   -ENAMETOOLONG  the name has more than 63 bytes
 *   -ENOSPC        the segment has not that many bytes left: the name keeps its place, and a
 *                  smaller object of that name may take it; or the segment has 64 objects
 *   -EBADMSG       the directory is corrupt
 */
IPC_INLINE int ipc_shm_make(struct ipc_shm *seg, const char *name, uint32_t type, size_t size,
                            struct ipc_shm_object *o);

/*
 * Lets other processes find the object that this handle has just made. Wait-free.
 *
 *   0
 *   -EINVAL  this handle is not making it
 */
IPC_INLINE int ipc_shm_publish(struct ipc_shm *seg, const struct ipc_shm_object *o);

/*
 * Finds an object by name. Where there is none, waits for it until the deadline of the open,
 * looking as ipc_shm_open does; in a segment that this handle created it does not wait.
 *
 *   0
 *   -ENOENT        there is none, and the deadline is IPC_NOW
 *   -ETIMEDOUT     there was none until the deadline
 *   -EINTR         a signal handler ran while it waited, as of ipc_shm_open
 *   -EPROTO        it has another type
 *   -EBADMSG       the directory is corrupt
 *   -EINVAL        the name is empty, or the segment is not open
 *   -ENAMETOOLONG  the name has more than 63 bytes
 */
IPC_INLINE int ipc_shm_find(struct ipc_shm *seg, const char *name, uint32_t type,
                            struct ipc_shm_object *o);

/*
 * The object in entry i of the directory (0 <= i < IPC_SHM_OBJECTS), for tools that list them.
 * Wait-free.
 *
 *   0
 *   -ENOENT   there is none, or i is out of range, or the segment is not open
 *   -EBADMSG  the entry is corrupt
 */
IPC_INLINE int ipc_shm_list(struct ipc_shm *seg, unsigned i, struct ipc_shm_object *o);

/*
 * Maps `bytes` bytes of the open segment, which begin at mem, twice in a row, so that what wraps
 * around their end lies in a row. NULL when they are not whole pages, or the kernel has no room. To
 * be given back by ipc_shm_unmap_twice with the same `bytes`, before or after the segment is
 * closed.
 */
IPC_INLINE void *ipc_shm_map_twice(struct ipc_shm *seg, const void *mem, size_t bytes);
IPC_INLINE void ipc_shm_unmap_twice(void *at, size_t bytes);

#endif
