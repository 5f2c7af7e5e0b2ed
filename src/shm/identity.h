/*
 * Which process a member is, and whether it is dead.
 *
 * Two locks of the segment's file prove that the member of entry i lives. Both are open file
 * description locks: the kernel releases one when nothing refers to its description any more.
 *
 *   lock on byte             referred to by                            held while
 *   ----------------------   ---------------------------------------   ----------------------------
 *   members + i, of life     a mapping of one page which fork does     the member's own address space
 *                            not copy (MADV_DONTFORK), nothing else    lives, and it has not handed
 *                                                                      the segment over
 *   2^48 + id, of the        the handle's descriptor and its mapping,  the member, once it has handed
 *   family                   both inherited by fork                    the segment over, lives, or a
 *                                                                      child that inherited its handle
 *                                                                      and has made no call with it
 *
 * The lock of life alone is the entry's: a child that does nothing keeps no entry of a dead parent.
 * So the lock of life says about one process what no number can: it is released on any death, but
 * not by a child, and it means the same in each PID and time namespace, and to an emulator. Other
 * descriptors of the file that the process closes do not release it, as they would a classic lock.
 *
 *   entry                    by which process, how
 *   ----------------------   ---------------------------------------------------------------------
 *   lock of life free        a process that joins, where the id is 0: F_OFD_SETLK. From here on, it
 *   -> locked                alone stores to the entry, or a child that adopts the id
 *   id: dead -> 0            a process that joins, before it tries the lock, once it has a proof:
 *                            CAS. It may be stopped with the lock: then that hides no death
 *   id: 0 or dead -> 0       the one that has the lock: a store, then a store fence
 *   pid, pid_ns, candidate,  the same: stores, then a store fence
 *   family: new
 *   id: 0 -> a new one       the same: a store. It is a member now
 *   candidate: 1 -> 0        the same, when it takes the segment over: see open.h
 *   family: n, none ->       the same, when it hands the segment over to a child: once it has the
 *   n + 1, HANDED            lock of the family, a store, then a store fence; then it gives the lock
 *                            of life back
 *   family: n, HANDED ->     the child, at its first call, once it has the lock of life: CAS; or
 *   n, none or ADOPTED       where it cannot have that. It keeps the id
 *   left: -> its own id      the same, when it closes the segment: a store, then a store fence
 *   id: its own -> 0         the same, after that; then it gives the locks back
 *   locked -> free           the kernel, when the member dies. id stays
 *
 * An id is a generation, new for each process that joins, and the entry's index. Ids are never used
 * twice, so a word in shared memory that has one can be compared and swapped without fear of a
 * successor.
 *
 * A member is dead when one of these holds, and is alive otherwise:
 *   1. its entry has another id: it has left, or another process has the entry's lock;
 *   2. its entry's lock of life is free, and so is that of the family, where `family` says HANDED or
 *      ADOPTED; and `family` is the same before and after. That is asked by our descriptor, so it
 *      proves nothing where others have closed that, and its number is of another file;
 *   3. where they have, and `family` says neither: no process has its pid, which counts in our PID
 *      namespace.
 *
 * Only locks for writing count. Who may only read the segment can take others, on any byte: that
 * keeps new members out, but neither makes the dead alive nor the living dead.
 *
 * The ends of rings notice a fork by a word of the page that fork wipes (MADV_WIPEONFORK), struct
 * ipc_peer's self: all ones in the process that attached by it, or that has its id by
 * ipc_shm_hand_over, and 0 in a child. A child that becomes a member of its own takes the next word,
 * so what it inherited is not taken for what it has attached. Where fork wipes nothing, all use a
 * word that is always 0, by which each call of an end asks for the pid.
 *
 * An emulator may not know MADV_DONTFORK. Then a child gives up its parent's page at its first call.
 * Until then the parent's death is not found, and no living process is taken for dead.
 */
#ifndef IPC_SRC_SHM_IDENTITY_H
#define IPC_SRC_SHM_IDENTITY_H 1

#include "layout.h"

/* ------------------------------------------------------------------ proofs of life and death */

/* The inode of this process's PID namespace, 0 when it is not known. */
IPC_INLINE uint64_t ipc_shm_pid_ns_(void)
{
    struct stat st;

    return stat("/proc/self/ns/pid", &st) == 0 ? (uint64_t)st.st_ino : 0;
}

/* This process, as its mark says it: the pid. The kernel has wiped the mark in a child, so that two
 * processes with the same pid, in two namespaces, differ. Where it does not, see ipc_wipe_on_fork_,
 * the mark has the namespace, too. */
IPC_INLINE uint64_t ipc_shm_this_process_(const struct ipc_shm *seg)
{
    return (seg->unwiped ? ipc_shm_pid_ns_() << 32 : 0) | (uint64_t)getpid();
}

/* Did this process get the handle's id itself? Else the handle came by fork. */
IPC_INLINE int ipc_shm_is_ours_(const struct ipc_shm *seg)
{
    return seg->mark != NULL && ck_pr_load_64(seg->mark) == ipc_shm_this_process_(seg);
}

#ifndef F_OFD_GETLK
#define F_OFD_GETLK 36
#define F_OFD_SETLK 37
#endif

#ifdef SYS_fcntl64 /* a target with 32 bits, where off_t may have 32, too */
struct ipc_shm_flock_ {
    short l_type, l_whence;
    int64_t l_start, l_len;
    int32_t l_pid;
};
#define ipc_shm_fcntl_(fd, how, lock) (int)syscall(SYS_fcntl64, fd, how, lock)
#else
#define ipc_shm_flock_ flock
#define ipc_shm_fcntl_ fcntl
#endif

/* Takes the lock on a byte (F_OFD_SETLK), or asks whether another description has it
 * (F_OFD_GETLK). */
IPC_INLINE int ipc_shm_lock_(int fd, int how, uint64_t byte, short *type)
{
    struct ipc_shm_flock_ lock;
    int rc;

    memset(&lock, 0, sizeof lock);
    lock.l_type = *type;
    lock.l_whence = SEEK_SET;
    lock.l_start = (int64_t)byte;
    lock.l_len = 1;
    rc = ipc_shm_fcntl_(fd, how, &lock);
    *type = lock.l_type;
    return rc == 0 ? 0 : -errno;
}

/* The byte of the family's lock: another one for each id. */
IPC_INLINE uint64_t ipc_shm_family_byte_(uint64_t id)
{
    return UINT64_C(1) << 48 | id;
}

/* Is our descriptor still that of the segment? A program may have closed it, and opened another. */
IPC_INLINE int ipc_shm_has_its_file_(const struct ipc_shm *seg)
{
    struct stat st;

    return fstat(seg->fd, &st) == 0 && (uint64_t)st.st_dev == seg->device &&
           (uint64_t)st.st_ino == seg->inode;
}

/* Is there no process with the member's pid any more, where that counts in our namespace? */
IPC_INLINE int ipc_shm_is_pid_free_(const struct ipc_shm *seg, const struct ipc_shm_member_ *m)
{
    uint32_t pid;

    /* Without it the pid could be older than the id. Partner: the second store fence in
     * ipc_shm_enter_. */
    ck_pr_fence_load();
    pid = ck_pr_load_32(&m->pid);
    return seg->pid_ns != 0 && ck_pr_load_64(&m->pid_ns) == seg->pid_ns && pid != 0 &&
           pid <= INT_MAX && kill((pid_t)pid, 0) != 0 && errno == ESRCH;
}

/* Is the member alive? 0 only with a proof of its death, see the top. */
IPC_INLINE int ipc_shm_member_is_alive_(const struct ipc_shm *seg, uint64_t id)
{
    unsigned i = (unsigned)(id % seg->members);
    const struct ipc_shm_member_ *m = ipc_shm_member_of_(seg, id);
    short life = F_RDLCK, kin = F_RDLCK; /* conflicts with a lock for writing alone */
    uint32_t family, goes_on;

    if (id == 0 || ck_pr_load_64(&m->id) != id)
        return 0; /* proof 1 */
    if (id == seg->peer.id)
        return 1;
    family = ck_pr_load_32(&m->family);
    goes_on = family & (IPC_SHM_HANDED_ | IPC_SHM_ADOPTED_);
    /* Without it `family` could be younger than the locks, and what was handed over in between look
     * dead. Partner: the store fence in ipc_shm_hand_over. */
    ck_pr_fence_load();
    if (ipc_shm_lock_(seg->fd, F_OFD_GETLK, seg->members + i, &life) == 0 && life == F_UNLCK) {
        if (goes_on &&
            (ipc_shm_lock_(seg->fd, F_OFD_GETLK, ipc_shm_family_byte_(id), &kin) != 0 ||
             kin != F_UNLCK))
            return 1;
        /* Without it `family` could be older than the locks. Partner: the CAS in ipc_shm_adopt_. */
        ck_pr_fence_load();
        if (ck_pr_load_32(&m->family) != family)
            return 1; /* it is handed over, or adopted, just now */
        if (ipc_shm_has_its_file_(seg))
            return 0; /* proof 2 */
    }
    return goes_on || ipc_shm_has_its_file_(seg) || !ipc_shm_is_pid_free_(seg, m); /* 0: proof 3 */
}

/* ------------------------------------------------------------------ joining */

/* Opens a new file description of the file behind fd, for O_RDWR or O_RDONLY. All locks of one
 * description have one holder, so each member needs its own. Returns its descriptor. */
IPC_INLINE int ipc_shm_reopen_(struct ipc_shm *seg, int fd, int access)
{
    char path[32];
    int own;

    (void)snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    /* O_NONBLOCK, as a file lease, which the file's owner may hold, would keep us waiting. */
    own = ipc_move_fd_(open(path, access | O_CLOEXEC | O_NONBLOCK));
    if (own >= 0)
        return own;
    if (errno == EAGAIN)
        return ipc_shm_refuse(seg, -EACCES, "its owner holds a file lease on the segment");
    if (errno == ENOENT)
        return ipc_shm_refuse(seg, -ENOSYS, "cannot reopen %s: is /proc mounted?", path);
    return ipc_shm_refuse(seg, -errno, "cannot reopen %s: %s", path, strerror(errno));
}

#ifndef MADV_DONTFORK
#define MADV_DONTFORK 10
#endif

/* Maps what the lock of life is to live in: a page of the description `fd`. */
IPC_INLINE int ipc_shm_map_life_(struct ipc_shm *seg, int fd)
{
    size_t huge = (size_t)2 << 20;
    void *life;

    seg->life_size = (size_t)getpagesize();
    life = mmap(NULL, seg->life_size, PROT_NONE, MAP_SHARED, fd, 0);
    if (life == MAP_FAILED && seg->size % huge == 0) { /* it may be in huge pages of the pool */
        seg->life_size = huge;
        life = mmap(NULL, seg->life_size, PROT_NONE, MAP_SHARED, fd, 0);
    }
    if (life == MAP_FAILED)
        return ipc_shm_refuse(seg, -errno, "cannot map a page: %s", strerror(errno));
    (void)madvise(life, seg->life_size, MADV_DONTFORK);
    seg->life = life;
    return 0;
}

/* A child has no lock of life by its parent's handle. Unmaps what an emulator has copied all the
 * same, see ipc_wipe_on_fork_: or it would be the parent's life, too. Linux has not, and something
 * else may be there since, so the process's maps are asked. */
IPC_INLINE void ipc_shm_leave_life_(struct ipc_shm *seg)
{
    FILE *maps = seg->life != NULL && seg->unwiped ? fopen("/proc/self/maps", "re") : NULL;
    unsigned long long start, inode;
    char line[256];

    while (maps != NULL && fgets(line, sizeof line, maps) != NULL)
        if (sscanf(line, "%llx-%*x ---s %*x %*x:%*x %llu", &start, &inode) == 2 &&
            start == (uintptr_t)seg->life && inode == seg->inode)
            (void)munmap(seg->life, seg->life_size);
    if (maps != NULL)
        (void)fclose(maps);
    seg->life = NULL;
}

#define IPC_SHM_SELF_ 8u /* the first word of the page below for the ends of rings */

/* The last word of the page stays 0: it is that of each process where nothing is wiped, and after
 * some 500 generations. Their ends ask at each call which process this is. */
IPC_INLINE unsigned ipc_shm_last_self_(void)
{
    return (unsigned)((size_t)getpagesize() / sizeof(uint64_t)) - 1;
}

/* Makes the page that fork wipes. Its words are this process's mark; which process is about to
 * join; until when we wait for our parent's death, see ipc_shm_inherit_; and those by which the ends
 * of rings notice a fork. */
IPC_INLINE int ipc_shm_map_mark_(struct ipc_shm *seg)
{
    size_t size = (size_t)getpagesize();
    void *mark;

    if (seg->mark != NULL)
        return 0; /* inherited */
    mark = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (mark == MAP_FAILED)
        return ipc_shm_refuse(seg, -ENOMEM, "cannot map a page: %s", strerror(errno));
    seg->mark = (uint64_t *)mark;
    seg->unwiped = !ipc_wipe_on_fork_(mark, size);
    if (seg->unwiped)
        seg->self = ipc_shm_last_self_();
    return 0;
}

/* What is attached by our word from now on, and was by it before, is this process's own. */
IPC_INLINE void ipc_shm_own_self_(const struct ipc_shm *seg)
{
    if (seg->self < ipc_shm_last_self_())
        ck_pr_store_64(&seg->mark[seg->self], UINT64_MAX);
}

/* Is the entry without an id, or can be made so, as its member is dead? */
IPC_INLINE int ipc_shm_vacate_entry_(const struct ipc_shm *seg, unsigned i)
{
    struct ipc_shm_member_ *m = ipc_shm_member_of_(seg, i);
    uint64_t id = ck_pr_load_64(&m->id);

    return id == 0 || (!ipc_shm_member_is_alive_(seg, id) && ck_pr_cas_64(&m->id, id, 0));
}

/* Takes the lock of life of an entry that nobody has. Looks first for one without an id, as each
 * question about a lock takes a system call, which is the longer the more locks there are; then for
 * that of a dead member. Returns its index, or a refusal. */
IPC_INLINE int ipc_shm_lock_entry_(struct ipc_shm *seg, int life)
{
    unsigned look;

    for (look = 0; look < 2 * seg->members; look++) {
        unsigned i = look % seg->members;
        short type = F_WRLCK;
        int rc = -EAGAIN;

        if (ck_pr_load_64(&ipc_shm_member_of_(seg, i)->id) == 0 ||
            (look >= seg->members && ipc_shm_vacate_entry_(seg, i)))
            rc = ipc_shm_lock_(life, F_OFD_SETLK, seg->members + i, &type);
        if (rc == 0)
            return (int)i;
        if (rc != -EAGAIN && rc != -EACCES)
            return ipc_shm_refuse(seg, rc, "no open file description locks here: %s",
                                  strerror(-rc));
    }
    return ipc_shm_refuse(seg, -EUSERS, "all %u members' places are taken: create the segment with "
                          "more, or one for each client", seg->members);
}

/* Makes the process that has locked entry i a member, or a candidate. */
IPC_INLINE void ipc_shm_enter_(struct ipc_shm *seg, unsigned i, int candidate)
{
    struct ipc_shm_member_ *m = ipc_shm_member_of_(seg, i);
    uint64_t generation;
    int tries = 0;

    do /* not 0, which is the id of no member; a hostile writer may say so again and again */
        generation = ck_pr_faa_64(&seg->base->generation, 1) + 1;
    while ((generation * seg->members & IPC_SHM_ID_) == 0 && ++tries < 8);
    generation += tries == 8;
    ck_pr_store_64(&m->id, 0);
    /* Without it the dead predecessor's id could be seen beside our pid. Partner: the second load
     * fence in ipc_shm_who. */
    ck_pr_fence_store();
    ck_pr_store_32(&m->pid, (uint32_t)getpid());
    ck_pr_store_32(&m->candidate, (uint32_t)candidate);
    ck_pr_store_32(&m->family, 0);
    seg->pid_ns = ipc_shm_pid_ns_();
    ck_pr_store_64(&m->pid_ns, seg->pid_ns);
    /* Without it our id could be seen beside the predecessor's pid. Partner: the first load fence
     * in ipc_shm_who. */
    ck_pr_fence_store();
    seg->peer.id = (generation * seg->members & IPC_SHM_ID_) + i;
    ck_pr_store_64(&m->id, seg->peer.id);
    if (seg->self < ipc_shm_last_self_())
        seg->self += seg->self == 0 ? IPC_SHM_SELF_ : 1;
    ipc_shm_own_self_(seg);
    seg->peer.self = &seg->mark[seg->self];
    ck_pr_store_64(&seg->mark[2], 0); /* of our parent, where the mark is not wiped */
    /* Without it another thread could go on with our parent's id. Partner: the load fence in
     * ipc_shm_become_member_. */
    ck_pr_fence_store();
    ck_pr_store_64(seg->mark, ipc_shm_this_process_(seg));
}

/* This process was forked by a member that has handed its id over: goes on with that. 1; 0: another
 * child has, or nothing was handed over. What it cannot have of its own, such as /proc after it has
 * dropped its privileges, it does without: the lock of the family is then its life. */
IPC_INLINE int ipc_shm_adopt_(struct ipc_shm *seg)
{
    unsigned i = (unsigned)(seg->handed % seg->members);
    struct ipc_shm_member_ *m = ipc_shm_member_of_(seg, i);
    uint32_t family = seg->handed_family;
    int life = -1, has = 0;
    short type = F_WRLCK;

    ipc_shm_leave_life_(seg);
    if (seg->handed == 0 || ck_pr_load_64(&m->id) != seg->handed ||
        ck_pr_load_32(&m->family) != family)
        return 0;
    if (ipc_shm_has_its_file_(seg))
        life = ipc_shm_reopen_(seg, seg->fd, O_RDWR);
    if (life >= 0) {
        has = ipc_shm_map_life_(seg, life) == 0 &&
              ipc_shm_lock_(life, F_OFD_SETLK, seg->members + i, &type) == 0;
        (void)close(life);
    }
    if (!has && seg->life != NULL)
        (void)munmap(seg->life, seg->life_size);
    seg->life = has ? seg->life : NULL;
    if (!ck_pr_cas_32(&m->family, family, family - IPC_SHM_HANDED_ + (has ? 0 : IPC_SHM_ADOPTED_))) {
        if (has)
            (void)munmap(seg->life, seg->life_size);
        seg->life = NULL;
        return 0;
    }
    seg->peer.id = seg->handed;
    seg->handed = 0;
    ipc_shm_own_self_(seg);
    /* The parent's descriptors and threads are not ours, although the id is: see watch.h. */
    seg->watcher = seg->watcher != 0 ? UINT64_MAX : 0;
    seg->watching = 0;
    seg->pid_ns = ipc_shm_pid_ns_();
    ck_pr_store_32(&m->pid, (uint32_t)getpid());
    ck_pr_store_64(&m->pid_ns, seg->pid_ns);
    /* As in ipc_shm_enter_. */
    ck_pr_fence_store();
    ck_pr_store_64(seg->mark, ipc_shm_this_process_(seg));
    return 1;
}

/* Makes this process a member, or a candidate. seg->fd is a file description of our own, and
 * seg->base is mapped. */
IPC_INLINE int ipc_shm_join_(struct ipc_shm *seg, int candidate)
{
    int life, rc = ipc_shm_map_mark_(seg), i = -1;

    if (rc != 0)
        return rc;
    life = ipc_shm_reopen_(seg, seg->fd, O_RDWR);
    if (life < 0)
        return life;
    rc = ipc_shm_map_life_(seg, life);
    if (rc == 0)
        i = rc = ipc_shm_lock_entry_(seg, life);
    (void)close(life); /* the mapping keeps the description */
    if (i >= 0) {
        ipc_shm_enter_(seg, (unsigned)i, candidate);
        return 0;
    }
    if (seg->life != NULL)
        (void)munmap(seg->life, seg->life_size);
    seg->life = NULL;
    return rc;
}

#endif
