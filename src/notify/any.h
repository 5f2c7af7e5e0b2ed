/* Waiting for any of many notifiers: a group of them, see wait.h. */
#ifndef IPC_SRC_NOTIFY_ANY_H
#define IPC_SRC_NOTIFY_ANY_H 1

#include "wait.h"

/* ------------------------------------------------------------------ waiting for any of many */

IPC_INLINE int ipc_any_init(struct ipc_any *any, struct ipc_notify *const *all, unsigned count)
{
    memset(any, 0, sizeof *any);
    if (count == 0 || count > IPC_NOTIFY_MANY)
        return -EINVAL;
    any->all = all;
    any->count = count;
    return 0;
}

IPC_INLINE void ipc_any_close(struct ipc_any *any)
{
    any->count = 0;
}

/* A wait on many under way. */
struct ipc_waiting_any_ {
    struct ipc_waiting_ w;
    unsigned which; /* of them watches the peer that is dead */
    uint32_t keys[IPC_NOTIFY_MANY];
};

IPC_INLINE struct ipc_waiting_any_ ipc_waiting_any_until_(int64_t deadline)
{
    struct ipc_waiting_any_ a;

    memset(&a, 0, sizeof a);
    a.w = ipc_waiting_until_(deadline);
    return a;
}

/* As ipc_waiting_more_. */
IPC_INLINE int ipc_waiting_any_more_(struct ipc_waiting_any_ *a, struct ipc_any *any)
{
    struct ipc_notify_group_ g;
    unsigned i;

    for (i = 0; i < any->count && any->all[i]->at != NULL; i++)
        ;
    if (a->w.rc == 0 && (any->count == 0 || i < any->count))
        a->w.rc = -EINVAL;
    g.all = any->all;
    g.count = any->count;
    g.kept = &any->kept;
    if (any->count != 0 &&
        ipc_waiting_spin_(&a->w, any->all[0]->spin / any->count, any->all[0]->yield))
        return 1;
    return ipc_waiting_step_(&a->w, &g, a->keys, &a->which);
}

#define ipc_wait_any(any, deadline, i, condition)                                                  \
    __extension__({                                                                                \
        struct ipc_waiting_any_ ipc_w_ = ipc_waiting_any_until_(deadline);                         \
        struct ipc_any *ipc_a_ = (any);                                                            \
        unsigned ipc_k_;                                                                           \
        int ipc_ok_ = 0;                                                                           \
                                                                                                   \
        (i) = 0;                                                                                   \
        do {                                                                                       \
            for (ipc_k_ = 0; ipc_k_ < ipc_a_->count && !ipc_ok_; ipc_k_++) {                       \
                (i) = (ipc_a_->next + ipc_k_) % ipc_a_->count;                                     \
                ipc_ok_ = (condition) ? 1 : 0;                                                     \
            }                                                                                      \
        } while (!ipc_ok_ && ipc_waiting_any_more_(&ipc_w_, ipc_a_));                              \
        if (ipc_ok_)                                                                               \
            ipc_a_->next = (i) + 1;                                                                \
        else if (ipc_w_.w.rc == -EOWNERDEAD)                                                       \
            (i) = ipc_w_.which;                                                                    \
        ipc_waiting_end_(&ipc_w_.w, ipc_a_->count > 0 ? ipc_a_->all[ipc_w_.which] : NULL,          \
                         ipc_ok_);                                                                 \
    })

#endif
