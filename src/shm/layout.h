/* What is where in a segment, and the handle of one. */
#ifndef IPC_SRC_SHM_LAYOUT_H
#define IPC_SRC_SHM_LAYOUT_H 1

#include "../common/peer.h"
#include "../common/deadline.h"

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
