/* Mapping a segment, and giving it back. */
#ifndef IPC_SRC_SHM_MAP_H
#define IPC_SRC_SHM_MAP_H 1

#include "file.h"
#include "watch.h"

/* ------------------------------------------------------------------ mapping */

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif
#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22
#endif
#ifndef MADV_HUGEPAGE
#define MADV_HUGEPAGE 14
#endif

/* Does the tmpfs that the file is in, such as /dev/shm, grant huge pages? Its option `huge` says
 * so. -1: the file is in no tmpfs that is mounted, but a memfd. */
IPC_INLINE int ipc_shm_mount_grants_huge_pages_(uint64_t device)
{
    char line[4096];
    const char *option;
    struct mntent m;
    struct stat st;
    FILE *mounts = setmntent("/proc/self/mounts", "re");
    int grants = -1; /* of the last one: those before it may be hidden behind it */

    while (mounts != NULL && getmntent_r(mounts, &m, line, (int)sizeof line) != NULL) {
        if (strcmp(m.mnt_type, "tmpfs") != 0 || stat(m.mnt_dir, &st) != 0 ||
            (uint64_t)st.st_dev != device)
            continue;
        option = hasmntopt(&m, "huge");
        grants = option != NULL && strncmp(option, "huge=never", 10) != 0;
    }
    if (mounts != NULL)
        (void)endmntent(mounts);
    return grants;
}

/* Asks for huge pages under the mapping. 0 when they are granted, else why not. */
IPC_INLINE int ipc_shm_ask_for_huge_pages_(struct ipc_shm *seg)
{
    char policy[128];
    int mount = ipc_shm_mount_grants_huge_pages_(seg->device);
    ssize_t n = -1;
    int fd = open("/sys/kernel/mm/transparent_hugepage/shmem_enabled", O_RDONLY | O_CLOEXEC);

    if (fd >= 0) {
        n = read(fd, policy, sizeof policy - 1);
        (void)close(fd);
    }
    if (n <= 0)
        return -EOPNOTSUPP;
    policy[n] = '\0';
    /* `never` and the rest are about memfds; these two about every tmpfs as well. */
    if (strstr(policy, "[deny]") != NULL ||
        (strstr(policy, "[force]") == NULL &&
         (mount >= 0 ? mount == 0 : strstr(policy, "[never]") != NULL)))
        return -EOPNOTSUPP;
    return madvise(seg->base, seg->size, MADV_HUGEPAGE) == 0 ? 0 : -errno;
}

/* Is the handle's memory mapped without write access? */
IPC_INLINE int ipc_shm_is_read_only_(const struct ipc_shm *seg)
{
    return (seg->flags & IPC_SHM_READ_ONLY) != 0;
}

/* 0 where the handle may write, else -EROFS. */
IPC_INLINE int ipc_shm_check_writable_(struct ipc_shm *seg)
{
    if (!ipc_shm_is_read_only_(seg))
        return 0;
    return ipc_shm_refuse(seg, -EROFS, "the segment is open read-only: open it without "
                          "IPC_SHM_READ_ONLY, or let the process make this that may write");
}

/* Makes a read-only handle know whose pids it sees: a child that inherited it may be in another PID
 * namespace. All else of it serves a child as it is. */
IPC_INLINE void ipc_shm_become_reader_(struct ipc_shm *seg)
{
    ck_pr_store_64(&seg->pid_ns, ipc_shm_pid_ns_());
    seg->peer.id = IPC_PEER_READ_ONLY;
}

/* Maps the file. Where `at` is not NULL, maps it there, over what was there. */
IPC_INLINE int ipc_shm_map_(struct ipc_shm *seg, void *at)
{
    struct stat st;
    void *base = mmap(at, seg->size, PROT_READ | (ipc_shm_is_read_only_(seg) ? 0 : PROT_WRITE),
                      MAP_SHARED | (at != NULL ? MAP_FIXED : 0), seg->fd, 0);

    if (base == MAP_FAILED && errno == EAGAIN)
        return ipc_shm_refuse(seg, -ENOMEM, "cannot map %zu bytes: more than RLIMIT_MEMLOCK, and "
                              "the process locks all that it maps (mlockall)", seg->size);
    if (base == MAP_FAILED)
        return ipc_shm_refuse(seg, -errno, "cannot map %zu bytes: %s", seg->size, strerror(errno));
    seg->base = (struct ipc_shm_header_ *)base;
    if (fstat(seg->fd, &st) != 0)
        return ipc_shm_refuse(seg, -errno, "cannot ask for the segment's file: %s",
                              strerror(errno));
    seg->device = (uint64_t)st.st_dev;
    seg->inode = (uint64_t)st.st_ino;
    if ((seg->flags & IPC_SHM_HUGE) != 0 && seg->huge_rc != 0)
        seg->huge_rc = ipc_shm_ask_for_huge_pages_(seg);
    return 0;
}

/* Faults the pages in, as the options say. The file is allocated, so there is space for them. Its
 * creator's are zeroed by that. Those that are there are mapped by sixteen when they are read, and can
 * then be written. Those of a file on a disk only to read: otherwise all would have to be written to
 * the disk. */
IPC_INLINE void ipc_shm_prefault_(struct ipc_shm *seg, int creates)
{
    int how = creates && !ipc_shm_is_in_file_(seg) ? MADV_POPULATE_WRITE : MADV_POPULATE_READ;
    size_t i;

    if ((seg->flags & IPC_SHM_NO_PREFAULT) == 0 &&
        madvise(seg->base, seg->size, how) != 0) /* Linux before 5.14 */
        for (i = 0; i < seg->size; i += 4096)
            (void)ck_pr_load_8((uint8_t *)seg->base + i);
    if ((seg->flags & IPC_SHM_MLOCK) != 0)
        seg->lock_rc = mlock(seg->base, seg->size) == 0 ? 0 : -errno;
}

/* The options of a call: NULL stands for the defaults. */
IPC_INLINE const struct ipc_shm_options *ipc_shm_or_defaults_(const struct ipc_shm_options *how)
{
    static const struct ipc_shm_options defaults = IPC_SHM_DEFAULTS;

    return how != NULL ? how : &defaults;
}

/* Makes the handle one that is not open. An option that is not tried counts as not granted. */
IPC_INLINE void ipc_shm_clear_(struct ipc_shm *seg, const struct ipc_shm_options *how)
{
    memset(seg, 0, sizeof *seg);
    seg->fd = -1;
    seg->flags = how->flags;
    seg->lock_rc = seg->huge_rc = -EOPNOTSUPP;
}

/* Unmaps what is this process's own. */
IPC_INLINE void ipc_shm_unmap_own_(struct ipc_shm *seg)
{
    if (seg->life != NULL && ipc_shm_is_ours_(seg))
        (void)munmap(seg->life, seg->life_size);
    else
        ipc_shm_leave_life_(seg);
    if (seg->mark != NULL)
        (void)munmap(seg->mark, (size_t)getpagesize());
    seg->life = NULL;
    seg->mark = NULL;
}

IPC_INLINE void ipc_shm_close(struct ipc_shm *seg)
{
    int ours = ipc_shm_is_ours_(seg);

    /* A handle that came by fork is the parent's membership, and one that was handed over a child's:
     * only unmap. */
    if (seg->base != NULL && seg->peer.id != 0 && ours) {
        struct ipc_shm_member_ *m = ipc_shm_member_of_(seg, seg->peer.id);

        ck_pr_store_64(&m->left, seg->peer.id);
        /* Without it our id could be gone before the mark says why. Partner: in
         * ipc_shm_peer_alive_. */
        ck_pr_fence_store();
        ck_pr_store_64(&m->id, 0);
        ipc_shm_end_use_(seg);
    }
    ipc_shm_unmap_own_(seg);
    if (seg->base != NULL)
        (void)munmap(seg->base, seg->size);
    if (seg->fd > 0 && (seg->base == NULL || ipc_shm_has_its_file_(seg))) /* 0: all zeros */
        (void)close(seg->fd);
    ipc_shm_close_watch_(seg); /* last, as it takes long: see ipc_end_last_ */
    seg->watcher = 0;
    seg->closed |= seg->base != NULL;
    seg->base = NULL;
    seg->fd = -1;
    seg->peer.id = 0;
}

/* Closes the handle, and returns rc, a refusal. */
IPC_INLINE int ipc_shm_close_refused_(struct ipc_shm *seg, int rc)
{
    ipc_shm_close(seg);
    seg->closed = 0;
    return rc;
}

/* Makes this process, which has inherited the handle by fork, a member of its own, with the same
 * addresses. */
IPC_INLINE int ipc_shm_rejoin_(struct ipc_shm *seg)
{
    int parents = seg->fd, own, rc;

    seg->peer.id = 0; /* whatever fails below: never the parent's */
    seg->handed = 0;
    if ((seg->flags & IPC_SHM_SEAL_WRITES) != 0)
        return ipc_shm_refuse(seg, -EROFS, "after fork only the process that created it may use a "
                              "segment that is sealed against writing: receive it here");
    if (!ipc_shm_has_its_file_(seg))
        return ipc_shm_refuse(seg, -EBADF, "others have closed the segment's descriptor");
    own = ipc_shm_reopen_(seg, parents, O_RDWR);
    if (own < 0)
        return own;
    seg->fd = own;
    (void)close(parents);
    /* Without it the mapping would keep the parent's description, and with it the parent's lock. */
    if (ipc_shm_map_(seg, seg->base) != 0)
        return -ENOMEM;
    ipc_shm_prefault_(seg, 0);
    rc = ipc_shm_join_(seg, 0);
    return rc == 0 ? ipc_shm_begin_use_(seg) : rc;
}

/* Sleeps for so many nanoseconds, less than a second. 0, or -EINTR when a signal handler ran. */
IPC_INLINE int ipc_shm_nap_(int64_t ns)
{
    struct timespec nap = {0, 0};

    nap.tv_nsec = (long)ns;
    return nanosleep(&nap, NULL) == 0 ? 0 : -EINTR;
}

/* Where the handle came by fork, makes this process a member of its own: the first thread that
 * calls does it, and others wait for that thread. */
IPC_INLINE int ipc_shm_become_member_(struct ipc_shm *seg)
{
    uint64_t me, joining;
    int rc = 0;

    if (seg->base == NULL)
        return ipc_shm_refuse_closed_(seg);
    if (ipc_shm_is_read_only_(seg)) {
        ipc_shm_become_reader_(seg);
        return 0;
    }
    me = ipc_shm_this_process_(seg);
    while (rc == 0 && ck_pr_load_64(&seg->mark[0]) != me) {
        joining = ck_pr_load_64(&seg->mark[1]); /* of our parent, where the mark is not wiped */
        if (joining == me || !ck_pr_cas_64(&seg->mark[1], joining, me)) {
            (void)ipc_shm_nap_(100000);
            continue;
        }
        /* Without it the mark could be older than the CAS. Partner: the fence below. */
        ck_pr_fence_atomic_load();
        if (ck_pr_load_64(&seg->mark[0]) != me && !ipc_shm_adopt_(seg))
            rc = ipc_shm_rejoin_(seg);
        /* Without it the next thread could find no one joining, and not yet our mark. */
        ck_pr_fence_store();
        ck_pr_store_64(&seg->mark[1], 0);
    }
    if (rc == 0 && seg->handed != 0)
        return ipc_shm_refuse(seg, -ECHILD, "this process has handed the segment over to a child");
    /* Without it the id could be older than the mark. Partner: the store fence in
     * ipc_shm_enter_. */
    ck_pr_fence_load();
    return rc;
}

#endif
