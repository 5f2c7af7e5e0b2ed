/* Mapping a segment, and giving it back. */
#ifndef IPC_SRC_SHM_MAP_H
#define IPC_SRC_SHM_MAP_H 1

#include "identity.h"

/* ------------------------------------------------------------------ mapping */

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif
#ifndef MADV_HUGEPAGE
#define MADV_HUGEPAGE 14
#endif

/* Asks for huge pages under the mapping. 0 when they are granted, else why not. */
IPC_INLINE int ipc_shm_ask_for_huge_pages_(struct ipc_shm *seg)
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

/* Maps the file. Where `at` is not NULL, maps it there, over what was there. */
IPC_INLINE int ipc_shm_map_(struct ipc_shm *seg, void *at)
{
    void *base = mmap(at, seg->size, PROT_READ | PROT_WRITE,
                      MAP_SHARED | (at != NULL ? MAP_FIXED : 0), seg->fd, 0);

    if (base == MAP_FAILED)
        return ipc_shm_refuse(seg, -errno, "cannot map %zu bytes: %s", seg->size, strerror(errno));
    seg->base = (struct ipc_shm_header_ *)base;
    if ((seg->flags & IPC_SHM_HUGE) != 0 && seg->huge_rc != 0)
        seg->huge_rc = ipc_shm_ask_for_huge_pages_(seg);
    return 0;
}

/* Faults the pages in, as the options say. The file is allocated, so there is space for them. */
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

/* Makes the handle one that is not open. An option that is not tried counts as not granted. */
IPC_INLINE void ipc_shm_clear_(struct ipc_shm *seg, const struct ipc_shm_options *how)
{
    memset(seg, 0, sizeof *seg);
    seg->fd = -1;
    seg->flags = how->flags;
    seg->lock_rc = seg->huge_rc = -EOPNOTSUPP;
}

IPC_INLINE void ipc_shm_close(struct ipc_shm *seg)
{
    /* A handle that came by fork is the parent's membership: only unmap. */
    if (seg->base != NULL && seg->peer.id != 0 && seg->pid == getpid()) {
        struct ipc_shm_member_ *m = &seg->base->member[seg->peer.id % IPC_SHM_MEMBERS];

        ck_pr_store_64(&m->left, seg->peer.id);
        /* Without it our id could be gone before the mark says why. Partner: in
         * ipc_shm_peer_alive_. */
        ck_pr_fence_store();
        ck_pr_store_64(&m->id, 0);
    }
    if (seg->base != NULL)
        (void)munmap(seg->base, seg->size);
    if (seg->fd >= 0)
        (void)close(seg->fd);
    seg->base = NULL;
    seg->fd = -1;
    seg->peer.id = 0;
}

/* Closes the handle, and returns rc, a refusal. */
IPC_INLINE int ipc_shm_close_refused_(struct ipc_shm *seg, int rc)
{
    ipc_shm_close(seg);
    return rc;
}

/* Opens a new file description of the file behind fd. All locks of one description have one holder,
 * so each member needs its own. Returns its descriptor. */
IPC_INLINE int ipc_shm_reopen_(struct ipc_shm *seg, int fd)
{
    char path[32];
    int own;

    (void)snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    own = open(path, O_RDWR | O_CLOEXEC);
    return own >= 0 ? own
                    : ipc_shm_refuse(seg, -errno, "cannot reopen %s: %s", path, strerror(errno));
}

/* Where the handle came by fork, makes this process a member of its own, with the same addresses.
 */
IPC_INLINE int ipc_shm_become_member_(struct ipc_shm *seg)
{
    int fd;

    if (seg->base == NULL)
        return -EINVAL; /* ipc_shm_why says what was refused */
    if (seg->pid == getpid())
        return 0;
    fd = ipc_shm_reopen_(seg, seg->fd);
    if (fd < 0)
        return fd;
    (void)close(seg->fd);
    seg->fd = fd;
    seg->peer.id = 0;
    /* Without it the mapping would keep the parent's description, and with it the parent's lock. */
    if (ipc_shm_map_(seg, seg->base) != 0)
        return -ENOMEM;
    ipc_shm_prefault_(seg);
    return ipc_shm_join_(seg, 0);
}

#endif
