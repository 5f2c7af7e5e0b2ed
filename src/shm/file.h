/*
 * Segments in a mapped file: what survives a restart of the machine.
 *
 * While a segment is in use, the kernel writes its pages to the disk when it likes, in any order.
 * If the power fails, each part of the file may be of another moment. The file says so itself:
 * `epoch` is odd from before the first store of a member until all is on the disk after the last
 * one left.
 *
 *   epoch    from   to            by which process, how
 *   ------   ----   -----------   -----------------------------------------------------------------
 *            0      1             its creator, before the file has a name: a store
 *            any    a higher odd  each process that opens it, once it is a member: full fence, CAS,
 *                                 and then it waits until that is on the disk
 *            odd    the next      a member that leaves and has found no other since it read the
 *                                 odd one: once all is on the disk, CAS
 *   boot     any    this boot's   a process that opens it, before its CAS of epoch: a store
 *   inode    any    the file's    the same
 *
 * An opener joins, fences, and changes the epoch. A member that leaves reads the epoch, fences, and
 * looks for members. So either it sees the opener, or its CAS fails, or the opener's comes after
 * it: the epoch is never even while there is a member.
 *
 * A segment may be torn if its epoch is odd and of another boot. It may be torn, too, if its inode
 * is that of another file, whose copy it is: nobody knows when each part was copied. Locks end with
 * a boot, and are not copied, so members of before are dead by proof 2 of identity.h. In the same
 * boot and file an odd epoch is as good as an even one: a process that is killed leaves all that it
 * has stored.
 */
#ifndef IPC_SRC_SHM_FILE_H
#define IPC_SRC_SHM_FILE_H 1

#include "identity.h"

/* ------------------------------------------------------------------ mapped files */

/* Does the name stand for a file? */
IPC_INLINE int ipc_shm_is_path_(const char *name)
{
    return strchr(name, '/') != NULL;
}

/* Is the segment in a file, of a disk perhaps? A hostile peer may say so of memory: then it costs
 * us some system calls. */
IPC_INLINE int ipc_shm_is_in_file_(const struct ipc_shm *seg)
{
    return ck_pr_load_64(&seg->base->inode) != 0;
}

/* Finds which boot this is, as a number. 0, or a refusal: the kernel does not say. */
IPC_INLINE int ipc_shm_boot_(struct ipc_shm *seg, uint64_t *boot)
{
    static const char path[] = "/proc/sys/kernel/random/boot_id";
    char id[64];
    ssize_t n = -1, i;
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd >= 0) {
        n = read(fd, id, sizeof id);
        (void)close(fd);
    }
    if (n <= 0)
        return ipc_shm_refuse(seg, fd >= 0 || errno == ENOENT ? -ENOSYS : -errno,
                              "cannot read %s, by which a segment in a file is known to be of this "
                              "boot: %s", path, fd >= 0 ? "it is empty" : strerror(errno));
    *boot = 14695981039346656037u; /* FNV-1a */
    for (i = 0; i < n; i++)
        *boot = (*boot ^ (unsigned char)id[i]) * 1099511628211u;
    return 0;
}

/* In the handle's flags: it has made the epoch odd, or found a member that had. */
#define IPC_SHM_USES_FILE_ (1u << 31)

/* Waits until what was stored so far in the first `bytes` bytes is on the disk. 0 or a negative
 * errno. */
IPC_INLINE int ipc_shm_write_out_(const struct ipc_shm *seg, size_t bytes)
{
    return msync(seg->base, bytes, MS_SYNC) == 0 ? 0 : -errno;
}

/* May what is in the file be of different moments? */
IPC_INLINE int ipc_shm_is_torn_(const struct ipc_shm *seg, uint64_t epoch, uint64_t boot)
{
    return ck_pr_load_64(&seg->base->inode) != seg->inode ||
           (epoch % 2 != 0 && ck_pr_load_64(&seg->base->boot) != boot);
}

/* Refuses a segment that may be torn, unless the options say to take it all the same. */
IPC_INLINE int ipc_shm_check_torn_(struct ipc_shm *seg)
{
    uint64_t boot = 0;
    int rc;

    if (!ipc_shm_is_in_file_(seg) || (seg->flags & IPC_SHM_TORN) != 0)
        return 0;
    rc = ipc_shm_boot_(seg, &boot);
    if (rc != 0 || !ipc_shm_is_torn_(seg, ck_pr_load_64(&seg->base->epoch), boot))
        return rc;
    return ipc_shm_refuse(seg, -EUCLEAN, "the segment may be torn, as its file is a copy, or the "
                          "machine stopped while it was in use: create it with IPC_SHM_FRESH, or "
                          "take it as it is with IPC_SHM_TORN");
}

/* A new segment in a file: all of it is on the disk before it gets its name. */
IPC_INLINE int ipc_shm_found_file_(struct ipc_shm *seg)
{
    int rc = ipc_shm_boot_(seg, &seg->base->boot);

    if (rc != 0)
        return rc;
    seg->base->epoch = 1;
    seg->base->inode = seg->inode;
    seg->flags |= IPC_SHM_USES_FILE_;
    rc = ipc_shm_write_out_(seg, seg->size);
    if (rc == 0 && fsync(seg->fd) != 0)
        rc = -errno;
    return rc == 0 ? 0 : ipc_shm_refuse(seg, rc, "cannot write the segment to the disk: %s",
                                        strerror(-rc));
}

/* This process has become a member. If the segment is in a file, nothing may be stored there before
 * the disk says that it is in use. */
IPC_INLINE int ipc_shm_begin_use_(struct ipc_shm *seg)
{
    struct ipc_shm_header_ *h = seg->base;
    uint64_t epoch, boot = 0;
    int tries, rc;

    if (!ipc_shm_is_in_file_(seg))
        return 0;
    for (tries = 0; tries < 1000; tries++) {
        epoch = ck_pr_load_64(&h->epoch);
        rc = ipc_shm_check_torn_(seg);
        if (rc != 0)
            return rc;
        rc = ipc_shm_boot_(seg, &boot);
        if (rc != 0)
            return rc;
        ck_pr_store_64(&h->boot, boot);
        ck_pr_store_64(&h->inode, seg->inode);
        /* Without it a member that leaves could miss us, and its epoch be ours. It also keeps the
         * boot before the epoch. Partner: in ipc_shm_end_use_. */
        ck_pr_fence_memory();
        if (!ck_pr_cas_64(&h->epoch, epoch, (epoch + 2) | 1))
            continue;
        seg->flags |= IPC_SHM_USES_FILE_;
        rc = ipc_shm_write_out_(seg, sizeof *h);
        return rc == 0 ? 0 : ipc_shm_refuse(seg, rc, "cannot write the segment to the disk: %s",
                                            strerror(-rc));
    }
    return ipc_shm_refuse(seg, -EBADMSG, "the segment's epoch changes all the time");
}

/* This process has left a segment in a file: its id is gone. If it was the last member, has all
 * written to the disk, and then says there that it is whole. */
IPC_INLINE void ipc_shm_end_use_(const struct ipc_shm *seg)
{
    struct ipc_shm_header_ *h = seg->base;
    uint64_t epoch = ck_pr_load_64(&h->epoch);
    unsigned i;

    if ((seg->flags & IPC_SHM_USES_FILE_) == 0)
        return;
    /* Without it the members could be older than the epoch (partner: in ipc_shm_begin_use_); and of
     * two that leave at once each could see the other's id, and neither be the last (partner: this
     * one). */
    ck_pr_fence_memory();
    for (i = 0; i < seg->members; i++) {
        const struct ipc_shm_member_ *m = ipc_shm_member_of_(seg, i);
        uint64_t id = ck_pr_load_64(&m->id);

        if (id != 0 && ck_pr_load_32(&m->candidate) == 0 && ipc_shm_member_is_alive_(seg, id))
            return;
    }
    if (epoch % 2 != 0 && ipc_shm_write_out_(seg, seg->size) == 0 &&
        ck_pr_cas_64(&h->epoch, epoch, epoch + 1))
        (void)ipc_shm_write_out_(seg, sizeof *h);
}

IPC_INLINE int ipc_shm_sync(struct ipc_shm *seg)
{
    int rc;

    if (seg->base == NULL)
        return ipc_shm_refuse_closed_(seg);
    if ((seg->flags & IPC_SHM_READ_ONLY) != 0)
        return ipc_shm_refuse(seg, -EROFS, "the segment is open read-only: its writers sync it");
    rc = ipc_shm_write_out_(seg, seg->size);
    return rc == 0 ? 0 : ipc_shm_refuse(seg, rc, "cannot write the segment to the disk: %s",
                                        strerror(-rc));
}

#endif
