/* Members: which processes have the segment open, and word of their deaths. */
#ifndef IPC_SRC_SHM_MEMBERS_H
#define IPC_SRC_SHM_MEMBERS_H 1

#include "map.h"

/* ------------------------------------------------------------------ members */

IPC_INLINE int ipc_shm_alive(struct ipc_shm *seg, uint64_t id)
{
    return ipc_shm_become_member_(seg) != 0 || ipc_shm_member_is_alive_(seg, id);
}

/* struct ipc_peer's alive. The mark of a member that left stays until another leaves from its
 * place. */
IPC_INLINE int ipc_shm_peer_alive_(void *arg, uint64_t id)
{
    struct ipc_shm *seg = (struct ipc_shm *)arg;

    if (ipc_shm_alive(seg, id))
        return 1;
    /* Without it the mark could be older than the proof. Partner: in ipc_shm_close. */
    ck_pr_fence_load();
    return ck_pr_load_64(&ipc_shm_member_of_(seg, id)->left) == id ? -1 : 0;
}

/* struct ipc_watch's open: see watch.h. */
IPC_INLINE int ipc_shm_watch_(void *arg, uint64_t id)
{
    struct ipc_shm *seg = (struct ipc_shm *)arg;
    int rc = ipc_shm_become_member_(seg);

    (void)id; /* the death of each member is reported */
    return rc != 0 ? rc : ipc_shm_watch_fd_(seg);
}

/* struct ipc_watch's loop. */
IPC_INLINE int ipc_shm_loop_(void *arg)
{
    struct ipc_shm *seg = (struct ipc_shm *)arg;
    int rc = ipc_shm_become_member_(seg);

    if (rc == 0 && !ipc_shm_has_its_file_(seg))
        rc = -EBADF; /* closed by others */
    return rc != 0 ? rc : ipc_shm_open_inotify_(seg);
}

#define IPC_SHM_PATIENCE_ INT64_C(1000000000) /* ns, in all, for the death of a parent */

/* struct ipc_peer's inherit. A daemon makes its first call while its parent is still about to exit,
 * so waits for that; but where it has waited in vain, later calls do not wait. */
IPC_INLINE int ipc_shm_inherit_(void *arg, uint64_t id, int leaves)
{
    struct ipc_shm *seg = (struct ipc_shm *)arg;

    if (ipc_shm_is_ours_(seg) && seg->peer.id == id)
        return 1; /* *self is 0 in each process, see ipc_shm_last_self_ */
    if (leaves && (seg->handed == 0 || ipc_shm_is_ours_(seg)))
        return -ECHILD;
    if (ipc_shm_become_member_(seg) != 0)
        return -ECHILD;
    if (seg->peer.id == id)
        return 1;
    if (ck_pr_load_64(&seg->mark[2]) == 0)
        ck_pr_store_64(&seg->mark[2], (uint64_t)(ipc_clock() + IPC_SHM_PATIENCE_));
    while (ipc_shm_member_is_alive_(seg, id)) {
        if (ipc_left_((int64_t)ck_pr_load_64(&seg->mark[2])) == 0)
            return ipc_shm_refuse(seg, -ECHILD, "the process that this one was forked from lives, "
                                  "and keeps its rings: attach anew, or it calls ipc_shm_hand_over "
                                  "before the fork");
        (void)ipc_shm_nap_(1000000);
    }
    (void)ck_pr_cas_64(&seg->base->creator, id, seg->peer.id);
    return 0;
}

IPC_INLINE struct ipc_peer *ipc_shm_peer(struct ipc_shm *seg)
{
    (void)ipc_shm_become_member_(seg);
    seg->peer.inherit = ipc_shm_inherit_;
    seg->peer.alive = ipc_shm_peer_alive_;
    seg->watch.open = ipc_shm_watch_;
    seg->watch.ours = ipc_shm_watch_is_ours_;
    seg->watch.take = ipc_shm_take_;
    seg->watch.loop = ipc_shm_loop_;
    seg->peer.watch = &seg->watch;
    seg->peer.stir = ipc_shm_stir_;
    seg->peer.arg = seg;
    return &seg->peer;
}

IPC_INLINE int ipc_shm_hand_over(struct ipc_shm *seg)
{
    int rc = ipc_shm_become_member_(seg);
    short type = F_WRLCK;
    uint32_t *family;

    rc = rc != 0 ? rc : ipc_shm_check_writable_(seg);
    if (rc != 0)
        return rc;
    rc = ipc_shm_has_its_file_(seg) ? ipc_shm_lock_(seg->fd, F_OFD_SETLK,
                                                    ipc_shm_family_byte_(seg->peer.id), &type)
                                    : -EBADF;
    if (rc != 0)
        return ipc_shm_refuse(seg, rc, "cannot lock the segment for a child: %s", strerror(-rc));
    family = &ipc_shm_member_of_(seg, seg->peer.id)->family;
    seg->handed_family = (ck_pr_load_32(family) & ~(IPC_SHM_HANDED_ | IPC_SHM_ADOPTED_)) +
                         IPC_SHM_FAMILY_COUNT_ + IPC_SHM_HANDED_;
    ck_pr_store_32(family, seg->handed_family);
    /* Without it another could see our lock of life free before it sees why. Partner: the first load
     * fence in ipc_shm_member_is_alive_. */
    ck_pr_fence_store();
    if (seg->life != NULL)
        (void)munmap(seg->life, seg->life_size);
    seg->life = NULL;
    seg->handed = seg->peer.id;
    seg->peer.id = 0;
    ck_pr_store_64(&seg->mark[seg->self], 0);
    return 0;
}

IPC_INLINE int ipc_shm_who(struct ipc_shm *seg, unsigned i, struct ipc_shm_member *who)
{
    const struct ipc_shm_member_ *m;
    uint32_t pid;

    if (ipc_shm_become_member_(seg) != 0)
        return -EINVAL;
    memset(who, 0, sizeof *who);
    if (i >= seg->members)
        return -ENOENT;
    m = ipc_shm_member_of_(seg, i);
    who->id = ck_pr_load_64(&m->id);
    /* Without this fence and the next, pid and namespace could be of another member than the id.
     * Partners: the store fences in ipc_shm_enter_. */
    ck_pr_fence_load();
    pid = ck_pr_load_32(&m->pid);
    who->pid_ns = ck_pr_load_64(&m->pid_ns);
    ck_pr_fence_load();
    if (who->id == 0 || who->id % seg->members != i || ck_pr_load_64(&m->id) != who->id)
        return -ENOENT;
    who->pid = pid <= INT_MAX ? (pid_t)pid : 0;
    who->alive = ipc_shm_member_is_alive_(seg, who->id);
    who->here = who->pid_ns != 0 && who->pid_ns == seg->pid_ns;
    who->me = who->id == seg->peer.id;
    return 0;
}

/* The pid of the member `id`; 0: it has left, or its pid does not count here. */
IPC_INLINE long ipc_shm_pid_of_(struct ipc_shm *seg, uint64_t id)
{
    struct ipc_shm_member who;
    int rc = id != 0 ? ipc_shm_who(seg, (unsigned)(id % seg->members), &who) : -ENOENT;

    return rc == 0 && who.id == id && who.here ? (long)who.pid : 0;
}

#endif
