/* What is where in a segment's file. */
#ifndef IPC_SRC_SHM_LAYOUT_H
#define IPC_SRC_SHM_LAYOUT_H 1

#include "reference.h"

#include <limits.h>
#include <mntent.h>
#include <stdarg.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/sysinfo.h>
#include <sys/vfs.h>

/* ------------------------------------------------------------------ layout */

#define IPC_SHM_MAGIC UINT64_C(0x316d68735f637069) /* "ipc_shm1" */
#define IPC_SHM_LAYOUT 4u
#define IPC_SHM_ORDER 0x01020304u   /* stored by a machine of our byte order */
#define IPC_SHM_SWAPPED 0x04030201u /* and by one of the other */

/* Which process may change which field when: see identity.h. */
struct ipc_shm_member_ {
    uint64_t id;        /* 0: of no member */
    uint64_t unused;
    uint64_t pid_ns;    /* inode of the PID namespace in which pid counts */
    uint32_t pid;       /* of the process */
    uint32_t candidate; /* 1: has it open to take it over or to replace it, not to use it */
    uint64_t left;      /* the id that closed its handle in this place last */
    uint32_t family;    /* HANDED_ or ADOPTED_: it counts as alive as long as its family */
    unsigned char pad[20];
};

/* See objects.h. */
struct ipc_shm_entry_ {
    uint64_t state;
    uint64_t offset; /* from here on: written by the maker while MAKING, constant when READY */
    uint64_t size;
    uint32_t type;
    char name[IPC_SHM_NAME_MAX + 1];
    unsigned char pad[36];
};

/* The beginning of the file. Behind it are the members' entries, those of the objects, and from the
 * next page on the objects' memory. */
struct ipc_shm_header_ {
    /* Constant once others can open the segment. magic is stored last. */
    uint64_t magic;
    uint32_t abi;
    uint32_t order;
    uint32_t line;
    uint32_t members; /* entries: a power of two */
    uint32_t objects; /* entries */
    uint32_t pad0;
    uint64_t size; /* of the file */
    unsigned char pad1[24];
    /* Changed by any member, by compare-and-swap or fetch-and-add. */
    uint64_t used;       /* bytes of the file that are handed out */
    uint64_t generation; /* of the last id */
    uint64_t creator;    /* see open.h */
    unsigned char pad2[40];
    /* Of a segment in a file: see file.h. */
    uint64_t epoch; /* odd: in use */
    uint64_t boot;  /* in which it was used last */
    uint64_t inode; /* of the file; 0: it is in memory */
    unsigned char pad3[4096 - 128 - 24];
};

#define IPC_SHM_ASSERT_(name, condition) typedef char ipc_shm_assert_##name[(condition) ? 1 : -1];
IPC_SHM_ASSERT_(member, sizeof(struct ipc_shm_member_) == 64)
IPC_SHM_ASSERT_(entry, sizeof(struct ipc_shm_entry_) == 128)
IPC_SHM_ASSERT_(header, sizeof(struct ipc_shm_header_) == 4096)
IPC_SHM_ASSERT_(counters, offsetof(struct ipc_shm_header_, used) == 64)
IPC_SHM_ASSERT_(file, offsetof(struct ipc_shm_header_, epoch) == 128)

/* The bytes before the objects' memory. */
IPC_INLINE size_t ipc_shm_head_(uint32_t members, uint32_t objects)
{
    return (sizeof(struct ipc_shm_header_) + members * sizeof(struct ipc_shm_member_) +
            objects * sizeof(struct ipc_shm_entry_) + 4095) & ~(size_t)4095;
}

/* Can a segment have so many entries? */
IPC_INLINE int ipc_shm_are_numbers_valid_(uint32_t members, uint32_t objects)
{
    return members - 1 < IPC_SHM_MEMBERS_MAX && (members & (members - 1)) == 0 &&
           objects - 1 < IPC_SHM_OBJECTS_MAX;
}

/* The entry of the member with that id. Whatever the id is, it is one of the segment's. */
IPC_INLINE struct ipc_shm_member_ *ipc_shm_member_of_(const struct ipc_shm *seg, uint64_t id)
{
    return (struct ipc_shm_member_ *)(void *)(seg->base + 1) + id % seg->members;
}

IPC_INLINE struct ipc_shm_entry_ *ipc_shm_entry_at_(const struct ipc_shm *seg, uint32_t i)
{
    struct ipc_shm_member_ *members = (struct ipc_shm_member_ *)(void *)(seg->base + 1);

    return (struct ipc_shm_entry_ *)(void *)(members + seg->members) + i;
}

/* The bits of an id: a generation times the number of members' entries, plus the index of the
 * member's. Where there are 65,536 entries that leaves 2^32 generations, else more. */
#define IPC_SHM_ID_ ((UINT64_C(1) << 48) - 1)
/* `family`, below a count of how often it was handed over: the process goes, and a child that it is
 * about to fork, or has forked, goes on with its id; and, that child has made a call, but has no lock
 * of life of its own. */
#define IPC_SHM_HANDED_ 1u
#define IPC_SHM_ADOPTED_ 2u
#define IPC_SHM_FAMILY_COUNT_ 4u
/* In `creator`, beside an id. */
#define IPC_SHM_CONDEMNED_ (UINT64_C(1) << 63)

/* The bits of an object's state: kind, hash of the name, and below them the maker's id. */
#define IPC_SHM_FREE_ UINT64_C(0)
#define IPC_SHM_MAKING_ (UINT64_C(1) << 62)
#define IPC_SHM_READY_ (UINT64_C(2) << 62)
#define IPC_SHM_HASH_ (((UINT64_C(1) << 14) - 1) << 48)

/* ------------------------------------------------------------------ refusals */

static int ipc_shm_refuse(struct ipc_shm *seg, int rc, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    (void)vsnprintf(seg->peer.why, sizeof seg->peer.why, format, arguments);
    va_end(arguments);
    return rc;
}

/* -EINVAL: the handle is not open. Of one that was refused, ipc_shm_why goes on to say why. */
IPC_INLINE int ipc_shm_refuse_closed_(struct ipc_shm *seg)
{
    return seg->closed || seg->peer.why[0] == '\0'
               ? ipc_shm_refuse(seg, -EINVAL, "the segment is not open") : -EINVAL;
}

IPC_INLINE const char *ipc_shm_why(const struct ipc_shm *seg)
{
    return seg->peer.why;
}

#endif
