/* Reference: all types, constants and functions of ipc_shm.h that a program uses. */
#ifndef IPC_SRC_SHM_REFERENCE_H
#define IPC_SRC_SHM_REFERENCE_H 1

#include "../common/peer.h"
#include "../common/deadline.h"

/*
 * What holds for all functions below
 *   - They return 0, or a negative errno, where nothing else is said. After an error ipc_shm_why
 *     has a sentence about it, but for -ENOENT of ipc_shm_list and ipc_shm_who.
 *   - A handle belongs to one process. Its threads may share it, but for the calls that create,
 *     open, receive and close. A child that inherits a handle by fork becomes a member of its own
 *     at its next call, see below; where that fails the call returns, besides its own errors:
 *     -EUSERS (all places are taken), -ENOSYS (/proc is not mounted), -ENOMEM,
 *     -EBADF (others have closed the handle's descriptor), -EROFS (IPC_SHM_SEAL_WRITES), and what
 *     open says for /proc/self/fd, such as -EMFILE and -EACCES. Its threads may make that call at
 *     once. A handle that is open read-only serves the child as it is.
 *   - None waits for another process, but for those that take a deadline. A peer that is stopped
 *     or killed at any instruction holds up none of them longer than that. `how` may be NULL, which is
 *     IPC_SHM_DEFAULTS; no other pointer may, but the name that ipc_shm_create is given. A handle of
 *     zeros is one that is not open: calls are -EINVAL, and to close it does nothing. */

/*
 * Fork, exec, and whose process it is
 *
 *   A member is one process: one address space. It lives as long as that, whatever happens to its
 *   descriptors, its user or its namespaces, and is dead to all others, wherever they run, as soon
 *   as the kernel has taken that down: on any exit, kill or exec.
 *
 *   after the fork               what happens
 *   --------------------------   ------------------------------------------------------------------
 *   the child calls nothing,     nothing. The parent's death is told as if there were no child, and
 *   or executes a program        its place is free for the next
 *   the child makes a call       it becomes a member of its own, once for all its threads, and may
 *   with the segment's handle    attach to rings. The parent stays what it was. Where the child
 *                                cannot become one, its id is 0: never its parent's
 *   the child closes the handle  the parent stays a member
 *   the child uses a ring that   the parent goes on while it lives and has not closed the segment:
 *   the parent attached to       the child's first call with that end is -ECHILD, before it has
 *                                stored anything, and so is each later one. If the parent is dead
 *                                or has closed the segment, as after daemon(), the child takes over
 *                                the end, by an id of its own, and goes on where the parent was: no
 *                                message is lost or seen twice. Until then the end has a dead
 *                                holder: peers may be told of that death, and another process that
 *                                attaches first gets the end. Then the child is told -ECHILD
 *   the child uses it after      the child has the parent's id and ends without a gap: no peer is
 *   ipc_shm_hand_over, called    told of a death, no end is free for others, also after a second
 *   before the fork              fork (daemon() within daemon()). The parent's next call with the
 *                                segment or with one of its rings is -ECHILD; it may exit at any
 *                                time
 *
 *   So of parent and child one goes on, and the other is told at its first call. A child whose
 *   parent has not exited yet waits for that in the first such call: once, for a second at most. A
 *   child that may not go on may attach anew. Differences of kinds:
 *
 *     MPMC, calls                 what the parent held or had asked is freed as that of any dead
 *                                 process, not handed on to the child
 *     a lossless reader           is -ECHILD also when the parent is dead, as its seat may be gone,
 *                                 and messages with it; not after ipc_shm_hand_over
 *     a lossy reader              stores nothing: parent and child both go on
 *     a claimed slot              cannot be committed in the child: -EINVAL, claim it again; after
 *                                 ipc_shm_hand_over it can
 *
 *   To become a member a child opens /proc/self/fd anew: in a named segment it does so before it
 *   drops its privileges, or changes its root. A child that was handed the segment need not.
 *
 *   An emulator (qemu-user) copies to the child what fork does not copy on Linux (MADV_DONTFORK).
 *   There the death of a process is told once each child has made a call with its handle, has closed
 *   it, has executed a program, or is gone. Where fork does not wipe memory (MADV_WIPEONFORK: an
 *   emulator, Linux before 4.14), each call of a ring asks for the pid.
 */

/* ------------------------------------------------------------------ limits */

#define IPC_SHM_LINE 64u           /* bytes to which objects are aligned */
#define IPC_SHM_MEMBERS 64u        /* members that a segment has places for, if nothing is said */
#define IPC_SHM_OBJECTS 64u        /* objects, the same */
#define IPC_SHM_MEMBERS_MAX 65536u /* and at most, by the options */
#define IPC_SHM_OBJECTS_MAX 65536u
#define IPC_SHM_NAME_MAX 63u       /* bytes of an object's name, without the final NUL */

/* ------------------------------------------------------------------ options and handles */

#define IPC_SHM_NO_PREFAULT 1u /* leave page faults for the first touch */
#define IPC_SHM_MLOCK 2u       /* keep the pages in memory; see lock_rc */
#define IPC_SHM_HUGE 4u        /* use huge pages; see huge_rc */
#define IPC_SHM_FRESH 8u       /* create: discard what a dead creator left, do not take it over */
/* open, receive: map it without write access, and be no member. See ipc_shm_open */
#define IPC_SHM_READ_ONLY 16u
/* create, without a name: no other process can ever write it. See ipc_shm_create */
#define IPC_SHM_SEAL_WRITES 32u
/* create, open, receive: take a segment in a file also if it may be torn. See ipc_shm_sync */
#define IPC_SHM_TORN 64u

/* Begin with IPC_SHM_DEFAULTS, and set what is to differ. All zeros are other options: mode 000, of
 * root. */
struct ipc_shm_options {
    mode_t mode;    /* create: a named segment's permissions. open: the most it may permit */
    uid_t owner;    /* open: the user that must own it; (uid_t)-1: the caller's */
    gid_t group;    /* create: its group; (gid_t)-1: the caller's */
    unsigned flags; /* IPC_SHM_* above */
    size_t largest; /* receive: the most bytes that the segment may have; 0: any number */
    /* create: how many processes can have the segment open at a time (1 to IPC_SHM_MEMBERS_MAX,
     * rounded up to a power of two), and how many objects it can hold (1 to IPC_SHM_OBJECTS_MAX).
     * 0: IPC_SHM_MEMBERS, IPC_SHM_OBJECTS. They stay as they were created. A member takes 64 bytes,
     * an object 128, besides the size asked for. */
    unsigned members, objects;
};
/* What NULL in place of options stands for: struct ipc_shm_options o = IPC_SHM_DEFAULTS; */
#define IPC_SHM_DEFAULTS                                                                           \
    {                                                                                              \
        0600, (uid_t)-1, (gid_t)-1, 0, 0, 0, 0                                                     \
    }

struct ipc_shm_header_;

/* An open segment. The caller may read `size`, `members`, `objects`, `flags`, `fd`, `created`,
 * `lock_rc` and `huge_rc`. */
struct ipc_shm {
    struct ipc_peer peer;         /* by ipc_shm_peer */
    struct ipc_shm_header_ *base; /* of the mapping; NULL: not open */
    size_t size;                  /* of the mapping, in bytes */
    unsigned members, objects;    /* for how many it has room */
    int64_t deadline;             /* of the open; ipc_shm_find waits until then */
    uint64_t *mark;               /* the process whose id peer.id is; wiped by fork: identity.h */
    int unwiped;                  /* 1: fork does not wipe it */
    unsigned self;                /* the word of it by which the ends of rings notice a fork */
    void *life;                   /* a page in which the lock of life lives: identity.h */
    size_t life_size;             /* of that, in bytes */
    uint64_t handed;              /* the id that ipc_shm_hand_over has given away, ... */
    uint32_t handed_family;       /* ... and what the entry's `family` was then: identity.h */
    uint64_t pid_ns;              /* inode of our PID namespace; 0: not known */
    uint64_t device, inode;       /* of the segment's file */
    unsigned flags;               /* of the options; IPC_SHM_READ_ONLY: nothing can be written */
    int fd;      /* its description holds the family's lock. May be polled; not to be closed */
    int created; /* 1: made by this call, 2: taken over from a dead creator, 0: opened */
    int closed;  /* 1: it was open, and is not any more */
    int lock_rc; /* IPC_SHM_MLOCK: 0 locked, else a negative errno that says why not */
    int huge_rc; /* IPC_SHM_HUGE: 0 granted by the kernel, else why not: pages are of usual size.
                    Those of /dev/shm are granted by its mount option `huge` */
    struct ipc_watch watch; /* from here on: see watch.h */
    uint64_t watcher, watching;
    int epoll, inotify; /* if watcher is not 0 */
    struct ipc_last_ last; /* has the inotify, too */
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
 * ("feed", 1 to 255 bytes without a slash), or nameless and sealed when name is NULL. A name with a
 * slash ("./feed", "/var/lib/feed/ticks") is the path of a file that the memory is mapped from,
 * which survives a restart of the machine: see ipc_shm_sync. "/feed", which is how shm_open spells
 * a name, is refused. Where the name exists, and its creator is dead or has closed the segment,
 * takes the segment over with its objects: seg->created is 2. If `size` in pages, or the options'
 * members or objects, are not those that it was made with, or with IPC_SHM_FRESH, it is discarded,
 * and a new one of this size takes its place: seg->created is 1. Then it must not be in use by
 * others. Blocks only for the kernel, while it allocates the pages and faults them in. On an error
 * seg is closed.
 * ipc_shm_create uses IPC_SHM_DEFAULTS, as all calls do where `how` is NULL.
 *
 * With IPC_SHM_SEAL_WRITES, for a nameless segment, only this handle can ever write: the kernel
 * refuses each later mapping for writing, of any user, root among them (F_SEAL_FUTURE_WRITE). A
 * process that is sent the segment opens it read-only. A child that inherits the handle by fork can become no
 * member, as that needs a mapping of its own: its calls are -EROFS. The memory is still mapped
 * there for writing, so the child must leave it alone; it may receive the segment instead.
 *
 *   0
 *   -EEXIST        a live process created it, or the remains are to be discarded while others have
 *                  them open, or the name changed hands 100 times meanwhile
 *   -EINVAL        size is 0, or members or objects of the options are out of range, or the name is
 *                  empty, ends with a slash, begins with its only slash, or is . or ..;
 *                  IPC_SHM_READ_ONLY is given, or IPC_SHM_SEAL_WRITES with a name
 *   -EUCLEAN       the file may be torn, see ipc_shm_sync
 *   -ENOENT        the directory of the file is not there
 *   -EIO           the file could not be written to the disk
 *   -EOPNOTSUPP    IPC_SHM_SEAL_WRITES: the kernel is older than Linux 5.1
 *   -ENAMETOOLONG  the name has more than 255 bytes, or the path 4095
 *   -ENOSPC        /dev/shm, memory, or the disk has not that many bytes
 *   -EFBIG         no file can have that size, or RLIMIT_FSIZE forbids it
 *   -EACCES        what has the name belongs to another user, or permits more than how->mode, or
 *                  its owner holds a file lease on it
 *   -EPERM         the remains are to be discarded, but are another user's. They stay as they are
 *   -EPROTO        what has the name is no segment, or one of another version, byte order or
 *                  layout. ipc_shm_unlink removes it
 *   -ELOOP         what has the name is a symbolic link
 *   -EISDIR        what has the name is a directory
 *   -EUSERS        as many processes have it open as it has places for (64, or as it was created)
 *   -ENOSYS        /proc is not mounted
 *   and what open, fchown, fchmod, mmap and linkat say, such as -EMFILE, -EPERM, -EOPNOTSUPP (the
 *   file system has no O_TMPFILE) and -ENOMEM (mmap
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
 * With IPC_SHM_READ_ONLY the memory is mapped without write access, and permission to read the file
 * is enough: how->owner says whose segment it is, how->mode (0644, say) what that may permit at
 * most. The process is no member: it takes none of the places, holds no lock, and is not seen by
 * ipc_shm_who. So it does not keep a dead creator's segment from being replaced: then open again.
 * It finds and lists objects, asks which members are alive, and attaches as a reader to lossy
 * broadcasts. Calls that would write are -EROFS. A store of the program itself is SIGSEGV. It cannot
 * disturb the members that are there, but by locks on the file it can keep others from joining, and
 * by reading the file it wakes their sleepers for nothing.
 *
 *   0
 *   -ENOENT     there is none, and the deadline is IPC_NOW
 *   -ETIMEDOUT  there was none until the deadline
 *   -EINTR      a signal handler ran while it waited. One that runs between a look and the nap
 *               after it does not end the wait: give a deadline, and ask what the handler has set
 *   -EINVAL     name is NULL, or as of ipc_shm_create; the deadline is no absolute time (IPC_NOW)
 *   -EUCLEAN    the file may be torn, see ipc_shm_sync
 *   -EACCES     it belongs to another user than how->owner, or permits more than how->mode, or may
 *               only be read by this user, or its owner holds a file lease on it
 *   -ENAMETOOLONG, -EPROTO, -ELOOP, -EISDIR, -EUSERS, -ENOSYS, and what open and mmap say: as of
 *   ipc_shm_create, at once
 */
IPC_INLINE int ipc_shm_open(struct ipc_shm *seg, const char *name, int64_t deadline);
IPC_INLINE int ipc_shm_open_with(struct ipc_shm *seg, const char *name, int64_t deadline,
                                 const struct ipc_shm_options *how);

/*
 * Opens the segment `name`, or creates it where there is none: for processes any of which may come
 * first. seg->created says which. A segment that exists may have another size, and room for other
 * numbers of members and objects. Blocks for a tenth of a second at most, besides what ipc_shm_create does. Not with IPC_SHM_READ_ONLY, which is -EINVAL.
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
 * Does nothing when the handle is all zeros, was refused, or is closed already. In a child that inherited the
 * handle by fork, and has not used it, the parent stays a member. Where the segment is in a file,
 * and this is its last member, blocks until all is on the disk. Takes some 20 ms where a thread slept
 * long by the handle: the others know before.
 */
IPC_INLINE void ipc_shm_close(struct ipc_shm *seg);

/*
 * For a segment in a file: returns once all that any process has stored there before is on the
 * disk. Blocks for the disk: some milliseconds, and what it takes to write the pages that have
 * changed. In memory it does nothing. Other processes may go on meanwhile, and none is waited
 * for.
 *
 * What a file promises after the machine has stopped, or the power has failed: nothing torn is
 * taken for whole. If all members had closed the segment, it is there as they left it, and goes on.
 * If not, the kernel may have written its pages in any order, whatever was synced: create, open and
 * receive refuse it with -EUCLEAN. So they do with a copy of the file, as nobody knows what
 * happened while it was made. Then IPC_SHM_FRESH makes a new one; or IPC_SHM_TORN takes it as it
 * is. That is safe if the machine was shut down in good order, as the kernel writes all pages then,
 * or if nobody had the segment open while it was copied. Otherwise a ring may hand out a message
 * that is torn, or twice, or -EBADMSG, but leads nowhere outside its memory; what was stored before
 * ipc_shm_sync, and not changed since, is there. A process that is killed while the machine goes on
 * costs nothing of that: its memory is the kernel's.
 *
 *   0
 *   -EINVAL  the segment is not open
 *   -EROFS   it is open read-only
 *   -EIO     the disk has failed; and what msync says
 */
IPC_INLINE int ipc_shm_sync(struct ipc_shm *seg);

/*
 * Frees the name, whatever it stands for, also what -EPROTO refuses; of a path only a segment. A
 * process that has the segment open keeps it. Needs no handle.
 *
 *   0
 *   -ENOENT            nothing has that name
 *   -EINVAL            name is NULL, or as of ipc_shm_create
 *   -ENAMETOOLONG      the name has more than 255 bytes, or the path 4095
 *   -EPROTO            the path is that of a file that is no segment
 *   -EACCES, -EPERM    what has the name belongs to another user
 *   -EISDIR            what has the name is a directory
 */
IPC_INLINE int ipc_shm_unlink(const char *name);

/*
 * Frees the name, or path, of a segment that no live process has open: as a creator does that
 * replaces the segment, so no process comes to use it meanwhile. A process that is killed in
 * here leaves the segment to the next ipc_shm_create, or to another call of this. how->owner and
 * how->mode are as of ipc_shm_open. seg is closed then, and is for ipc_shm_why alone. Blocks for
 * the kernel only.
 *
 *   0
 *   -EBUSY   a live process has it open, other than read-only, or others replace it all the time
 *   -ENOENT  nothing has that name
 *   -EINVAL, -ENAMETOOLONG, -EACCES, -EPERM, -EPROTO, -ELOOP, -EISDIR, -EUSERS, -ENOSYS, and what
 *   open and mmap say: as of ipc_shm_create
 */
IPC_INLINE int ipc_shm_unlink_dead(struct ipc_shm *seg, const char *name,
                                   const struct ipc_shm_options *how);

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
 * gives back (FALLOC_FL_PUNCH_HOLE) can be gone for good, and then access is SIGBUS. What is sent
 * of a segment with IPC_SHM_SEAL_WRITES is a descriptor for reading only. Blocks as the socket
 * does.
 *
 *   0
 *   -EPERM   the segment is in huge pages of the pool, and the socket was not connected by a
 *            process of this user (SO_PEERCRED)
 *   -EBADF   the segment is not open, or its descriptor was closed by others
 *   -EPIPE   the other end is closed; there is no SIGPIPE
 *   -EAGAIN  the socket does not block, and its buffer is full
 *   -EIO     the socket took a part of the message
 *   and what sendmsg says, such as -ENOTCONN; of a segment with IPC_SHM_SEAL_WRITES also what open
 *   says, such as -EMFILE
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
 * With IPC_SHM_READ_ONLY, or where the segment was made with IPC_SHM_SEAL_WRITES, opens it
 * read-only, as ipc_shm_open does: seg->flags has IPC_SHM_READ_ONLY then.
 *
 *   0
 *   -ETIMEDOUT  nothing came until the deadline
 *   -EINTR      a signal handler ran while it waited
 *   -EMSGSIZE   it is larger than how->largest
 *   -EINVAL     the deadline is no absolute time (IPC_NOW)
 *   -EPIPE      the peer closed the socket
 *   -EPROTO     what came is no segment, or one of another version, byte order or layout
 *   -EUCLEAN    it is in a file that may be torn, see ipc_shm_sync
 *   -EACCES     it is not sealed, and belongs to another user than how->owner or permits more than
 *               how->mode; or it is sealed memory that ipc_shm_create did not make, whose mode
 *               keeps this user out; or its owner holds a file lease on it; or it is in huge pages
 *               of the pool, and another user's
 *   -EUSERS     as many processes have it open as it has places for
 *   -ENOSYS     /proc is not mounted
 *   and what poll, recvmsg, open and mmap say, such as -ECONNRESET, -EMFILE and -ENOMEM
 */
IPC_INLINE int ipc_shm_recv(struct ipc_shm *seg, int socket, int64_t deadline);
IPC_INLINE int ipc_shm_recv_with(struct ipc_shm *seg, int socket, int64_t deadline,
                                 const struct ipc_shm_options *how);

/*
 * Opens the segment in memory that the descriptor fd refers to, which stays the caller's: as
 * ipc_shm_recv_with does once it has received that, with its checks and errors but for those of the
 * socket. For a monitor, which finds nameless segments in /proc.
 */
IPC_INLINE int ipc_shm_open_fd(struct ipc_shm *seg, int fd, const struct ipc_shm_options *how);

/* ------------------------------------------------------------------ members */

/*
 * Which process this is in the segment, and which others are alive: for attaching to a ring or a
 * notifier in it. seg must stay where it is, and open, as long as these are used. After fork the
 * child's first call makes it a member of its own; where that fails, the result's id is 0 and
 * ipc_shm_why says why. Read-only, its id is IPC_PEER_READ_ONLY. Never NULL. Lock-free.
 */
IPC_INLINE struct ipc_peer *ipc_shm_peer(struct ipc_shm *seg);

/*
 * To be called before a fork whose child is to go on in the place of this process, as before
 * daemon(): with its id, and all ends of rings that are attached by it. This process then counts as
 * alive as long as itself or any child lives that has inherited the handle; from the child's next
 * call with the segment on, such as ipc_shm_peer, as long as that child lives. The first of several
 * children that makes that call goes on, and others become members of their own. This process can
 * not use its rings any more (-ECHILD); where the fork fails, it has to close the segment, open it
 * and attach anew. A child that closes descriptors which it does not know keeps what it was given,
 * but then its death is told only when its own children are gone, too. Lock-free.
 *
 *   0
 *   -EINVAL  the segment is not open
 *   -EROFS   it is open read-only: there is nothing to hand over, a child can use it as it is
 *   -EBADF   the segment's descriptor was closed by others
 *   -ECHILD  it was handed over before. So say all calls of this process with it from now on that
 *            need its id, which ipc_shm_peer gives as 0; ipc_shm_close leaves it to the child
 */
IPC_INLINE int ipc_shm_hand_over(struct ipc_shm *seg);

/* 1 while the member `id` may be alive, 0 when it has left or the kernel says that it is dead; a
 * member that is stopped is alive. A few system calls, some 10 microseconds: not for the path of a
 * message. Wait-free. */
IPC_INLINE int ipc_shm_alive(struct ipc_shm *seg, uint64_t id);

/*
 * Which process has place i of the segment (0 <= i < seg->members), for tools that list them. A
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
 *                  smaller object of that name may take it; or the segment has as many objects
 *                  as it was created for
 *   -EBADMSG       the directory is corrupt
 *   -EROFS         the segment is open read-only
 */
IPC_INLINE int ipc_shm_make(struct ipc_shm *seg, const char *name, uint32_t type, size_t size,
                            struct ipc_shm_object *o);

/*
 * Lets other processes find the object that this handle has just made. Wait-free.
 *
 *   0
 *   -EINVAL  this handle is not making it
 *   -EROFS   the segment is open read-only
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
 * The object in entry i of the directory (0 <= i < seg->objects), for tools that list them. They
 * are in no order, with entries between them that are free. Wait-free.
 *
 *   0
 *   -ENOENT   there is none, or i is out of range, or the segment is not open
 *   -EBADMSG  the entry is corrupt
 */
IPC_INLINE int ipc_shm_list(struct ipc_shm *seg, unsigned i, struct ipc_shm_object *o);

/* How many bytes of the segment were in use at some moment during the call, for tools: what it
 * begins with, and all objects. 0 to seg->size; 0 where it is not open. Wait-free. */
IPC_INLINE size_t ipc_shm_was_used(const struct ipc_shm *seg);

/*
 * Maps `bytes` bytes of the open segment, which begin at mem, twice in a row, so that what wraps
 * around their end lies in a row. NULL when they are not whole pages, or the kernel has no room. To
 * be given back by ipc_shm_unmap_twice with the same `bytes`, before or after the segment is
 * closed. Any thread; blocks for the kernel only. */
IPC_INLINE void *ipc_shm_map_twice(struct ipc_shm *seg, const void *mem, size_t bytes);
IPC_INLINE void ipc_shm_unmap_twice(void *at, size_t bytes);

#endif
