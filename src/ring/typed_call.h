/* IPC_CALL: a request and its reply. */
#ifndef IPC_SRC_RING_TYPED_CALL_H
#define IPC_SRC_RING_TYPED_CALL_H 1

#include "call.h"
#include "typed.h"

/* The bells of calls. In a handle `data` is the servers' bell, and `space` is pointed at that of a
 * slot, or at the one of all callers that wait for a slot: a caller's at the one that it sleeps on,
 * or posts; a server's at the one that it posts.
 *
 * Who waits       for                    is posted by
 * a server        a request              a caller that has sent one
 * a caller        its reply, or that     a server that answers, that detaches
 *                 there will be none
 * a caller        a slot                 a server that answers, as it may not have seen that the
 *                                        call was given up; a server that detaches; a caller that
 *                                        moves to another slot, that detaches
 *
 * Nobody posts for a process that is killed: callers watch for the death of anyone. */
#define IPC_CALL_BELL_(slot) (((struct ipc_call_slot_ *)(void *)(slot))->bell)

IPC_TEMPLATE(IPC_CALL_CLIENT_BELLS_)
int rc = ipc_notify_attach_both_(&h->data, h->raw.ring->server_bell, &h->space,
                                 IPC_CALL_BELL_(h->raw.slot), IPC_NOTIFY_FUTEX, me);

if (rc == 0)
    rc = ipc_notify_move_(&h->space, h->raw.ring->slot_bell, me);
if (rc != 0) {
    ipc_call_client_detach(&h->raw);
    ipc_notify_detach(&h->data);
    ipc_notify_detach(&h->space);
    return h->raw.error = rc;
}
h->space.looks_each_second = 1;
ipc_notify_watch_anyone(&h->space);
return 0;
IPC_TEMPLATE_END

IPC_TEMPLATE(IPC_CALL_SERVER_BELLS_)
size_t stride = ipc_call_server_stride_(&h->raw);
size_t i;
int rc = ipc_notify_attach_both_(&h->data, h->raw.ring->server_bell, &h->space,
                                 h->raw.ring->slot_bell, IPC_NOTIFY_FUTEX, me);

/* What the kernel lacks is asked once, not for each slot. */
for (i = 0; i < h->raw.count && rc == 0; i++)
    rc = ipc_notify_move_(&h->space, IPC_CALL_BELL_(h->raw.slots + i * stride), me);
if (rc != 0) {
    ipc_call_server_detach(&h->raw);
    ipc_notify_detach(&h->data);
    ipc_notify_detach(&h->space);
    return h->raw.error = rc;
}
h->data.looks_each_second = 1;
return 0;
IPC_TEMPLATE_END

/* Posts a bell by the handle `space`. */
IPC_TEMPLATE(IPC_CALL_POST_, H, BELL)
H->space.at = (struct ipc_notify_shared *)(void *)(BELL);
(void)ipc_notify_post(&H->space);
IPC_TEMPLATE_END


/* ------------------------------------------------------------------ a caller */

IPC_TEMPLATE(IPC_CALL_CLIENT_, NAME, REQUEST, REPLY)
/* As ipc_call_regain_slot_. */
IPC_INLINE int NAME_regain_slot_(struct NAME_client *c)
{
    const unsigned char *was = c->raw.slot;
    int rc = ipc_call_regain_slot_(&c->raw);

#ifdef IPC_NOTIFY_H
    if (c->raw.ring != NULL && c->raw.slot != was) {
        IPC_CALL_POST_(c, c->raw.ring->slot_bell)
    }
#endif
    (void)was;
    return rc;
}
IPC_FORCE_INLINE int NAME_claim_(struct NAME_client *c)
{
    int rc;

    if (CK_CC_UNLIKELY(ipc_call_must_regain_(&c->raw)) && (rc = NAME_regain_slot_(c)) != 0)
        return rc;
    return ipc_call_claim_(&c->raw);
}
IPC_INLINE int NAME_claim(struct NAME_client *c, REQUEST **request)
{
    int rc = NAME_claim_(c);

    *request = rc == 0 ? (REQUEST *)(void *)ipc_call_message_(c->raw.slot) : NULL;
    return rc;
}
/* Wakes the servers where a request was sent. */
IPC_FORCE_INLINE int NAME_asked_(struct NAME_client *c, int rc)
{
#ifdef IPC_NOTIFY_H
    if (rc == 0 && CK_CC_UNLIKELY(ipc_notify_heeds_(c->raw.ring->server_bell)))
        (void)ipc_notify_post(&c->data);
#endif
    (void)c;
    return rc;
}
IPC_INLINE int NAME_commit(struct NAME_client *c)
{
    return NAME_asked_(
        c, ipc_call_commit_(&c->raw, ipc_call_stride_(sizeof(REQUEST), sizeof(REPLY))));
}
IPC_FORCE_INLINE int NAME_ask(struct NAME_client *c, const REQUEST *request)
{
    int rc = NAME_claim_(c);

    if (CK_CC_UNLIKELY(rc != 0))
        return rc;
    return NAME_asked_(c, ipc_call_ask_(&c->raw, request, sizeof(REQUEST),
                                        ipc_call_stride_(sizeof(REQUEST), sizeof(REPLY))));
}
IPC_FORCE_INLINE int NAME_poll(struct NAME_client *c)
{
    return ipc_call_poll_(&c->raw, ipc_call_stride_(sizeof(REQUEST), sizeof(REPLY)));
}
IPC_INLINE const REPLY *NAME_peek(const struct NAME_client *c)
{
    return (const REPLY *)ipc_call_peek(&c->raw);
}
IPC_FORCE_INLINE int NAME_collect(struct NAME_client *c, REPLY *reply)
{
    return ipc_call_collect_(&c->raw, reply, sizeof(REPLY),
                             ipc_call_stride_(sizeof(REQUEST), sizeof(REPLY)));
}
IPC_INLINE void NAME_cancel(struct NAME_client *c)
{
    ipc_call_cancel(&c->raw);
}
IPC_INLINE void NAME_client_detach(struct NAME_client *c)
{
    struct ipc_call_shared *ring = c->raw.ring;

    ipc_call_client_detach(&c->raw);
    (void)ring;
#ifdef IPC_NOTIFY_H
    if (ring != NULL) {
        IPC_CALL_POST_(c, ring->slot_bell)
    }
    ipc_notify_detach(&c->data);
    ipc_notify_detach(&c->space);
#endif
}
IPC_TEMPLATE_END

IPC_TEMPLATE(IPC_CALL_CLIENT_SLEEP_, NAME, REQUEST, REPLY)
IPC_INLINE struct ipc_notify *NAME_client_bell(struct NAME_client *c)
{
    unsigned char *bell;

    if (c->raw.ring != NULL) {
        bell = c->raw.doing != IPC_CALL_ABANDONED_ ? IPC_CALL_BELL_(c->raw.slot)
                                                   : c->raw.ring->slot_bell;
        c->space.at = (struct ipc_notify_shared *)(void *)bell;
    }
    return &c->space;
}
/* Is a slot claimed, or has the call been answered? argument: NULL for the second. */
IPC_INLINE int NAME_client_look_(void *handle, void *argument)
{
    struct NAME_client *c = (struct NAME_client *)handle;
    int rc;

    if (ipc_notify_anyone_died(&c->space))
        c->raw.vain = 0; /* asks the kernel */
    rc = argument != NULL ? NAME_claim_(c) : NAME_poll(c);
    return rc == 0 ? 1 : rc == -EAGAIN ? 0 : rc;
}
IPC_INLINE int NAME_client_until_(struct NAME_client *c, void *argument, int64_t deadline)
{
    if (c->raw.ring == NULL)
        return c->raw.error;
    return ipc_notify_wait_until_(NAME_client_bell(c), deadline, NAME_client_look_, c, argument);
}
IPC_INLINE int NAME_client_wait(struct NAME_client *c, int64_t deadline)
{
    return NAME_client_until_(c, NULL, deadline);
}
IPC_FORCE_INLINE int NAME_call(struct NAME_client *c, const REQUEST *request, REPLY *reply,
                               int64_t deadline)
{
    int rc = NAME_ask(c, request);

    if (CK_CC_UNLIKELY(rc == -EAGAIN)) {
        rc = NAME_client_until_(c, c, deadline);
        rc = rc != 0 ? rc : NAME_ask(c, request);
    }
    if (CK_CC_UNLIKELY(rc != 0))
        return rc;
    rc = NAME_client_until_(c, NULL, deadline);
    if (CK_CC_LIKELY(rc == 0))
        return NAME_collect(c, reply);
    NAME_cancel(c);
    return rc;
}
IPC_TEMPLATE_END

/* ------------------------------------------------------------------ a server */

IPC_TEMPLATE(IPC_CALL_SERVER_, NAME, REQUEST, REPLY)
IPC_FORCE_INLINE union NAME_slot *NAME_take(struct NAME_server *s)
{
    return (union NAME_slot *)(void *)ipc_call_take_(
        &s->raw, ipc_call_stride_(sizeof(REQUEST), sizeof(REPLY)));
}
#ifdef IPC_NOTIFY_H
/* The server has let go of the slot: wakes its caller, and callers that wait for one. Gives rc. */
IPC_RING_NOINLINE_ int NAME_wake_(struct NAME_server *s, struct ipc_call_shared *ring,
                                  unsigned char *slot, int rc)
{
    IPC_CALL_POST_(s, IPC_CALL_BELL_(slot))
    IPC_CALL_POST_(s, ring->slot_bell)
    return rc;
}
#endif
IPC_FORCE_INLINE int NAME_answer(struct NAME_server *s, union NAME_slot *slot)
{
    int rc = ipc_call_answer_(&s->raw, slot, ipc_call_stride_(sizeof(REQUEST), sizeof(REPLY)));

#ifdef IPC_NOTIFY_H
    unsigned char *at = ipc_call_slot_of_(slot);

    if (rc != -EINVAL && rc != -ECHILD &&
        CK_CC_UNLIKELY(ipc_notify_heeds_(IPC_CALL_BELL_(at)) |
                       ipc_notify_heeds_(s->raw.ring->slot_bell)))
        return NAME_wake_(s, s->raw.ring, at, rc);
#endif
    return rc;
}
IPC_INLINE uint64_t NAME_server_peer(const struct NAME_server *s, const union NAME_slot *slot)
{
    return ipc_call_server_peer(&s->raw, slot);
}
IPC_INLINE void NAME_server_detach(struct NAME_server *s)
{
#ifdef IPC_NOTIFY_H
    struct ipc_call_server was = s->raw;
    size_t i;
#endif

    ipc_call_server_detach(&s->raw);
#ifdef IPC_NOTIFY_H
    for (i = 0; i < was.count; i++)
        (void)NAME_wake_(s, was.ring, was.slots + i * ipc_call_server_stride_(&was), 0);
    ipc_notify_detach(&s->data);
    ipc_notify_detach(&s->space);
#endif
}
IPC_TEMPLATE_END

IPC_TEMPLATE(IPC_CALL_SERVER_SLEEP_, NAME)
IPC_INLINE struct ipc_notify *NAME_server_bell(struct NAME_server *s)
{
    return &s->data;
}
IPC_INLINE int NAME_server_look_(void *handle, void *argument)
{
    union NAME_slot **slot = (union NAME_slot **)argument;

    *slot = NAME_take((struct NAME_server *)handle);
    return *slot != NULL;
}
IPC_FORCE_INLINE int NAME_serve(struct NAME_server *s, union NAME_slot **slot, int64_t deadline)
{
    *slot = NAME_take(s);
    if (CK_CC_LIKELY(*slot != NULL))
        return 0;
    if (s->raw.ring == NULL)
        return s->raw.error;
    return ipc_notify_wait_until_(&s->data, deadline, NAME_server_look_, s, slot);
}
IPC_TEMPLATE_END

#define IPC_CALL(NAME, REQUEST, ...)                                                               \
    IPC_CALL_OF_(NAME, REQUEST, IPC_RING_TYPE_OF_(__VA_ARGS__), IPC_RING_VERSION_OF_(__VA_ARGS__))

IPC_TEMPLATE(IPC_CALL_OF_, NAME, REQUEST, REPLY, VERSION)
enum { NAME_version_ = (VERSION) };
IPC_RING_ASSERT_(NAME_alignment,
                 __alignof__(REQUEST) <= IPC_RING_LINE && __alignof__(REPLY) <= IPC_RING_LINE)
IPC_RING_ASSERT_(NAME_reply, sizeof(REPLY) <= UINT32_MAX)
IPC_RING_ASSERT_(NAME_is_trivially_copyable,
                 IPC_RING_IS_COPYABLE_(REQUEST) && IPC_RING_IS_COPYABLE_(REPLY))
union NAME_slot {
    REQUEST request;
    REPLY reply;
};
IPC_RING_MEMORY_(NAME, call, IPC_CALL_TYPE, sizeof(REQUEST), IPC_RING_PLAIN_, 0, sizeof(REQUEST),
                 sizeof(REPLY))
IPC_RING_HANDLE_(NAME, call, client, raw, IPC_CALL_CLIENT_BELLS_(), sizeof(REQUEST), sizeof(REPLY), me)
IPC_RING_HANDLE_(NAME, call, server, raw, IPC_CALL_SERVER_BELLS_(), sizeof(REQUEST), sizeof(REPLY), me)
IPC_CALL_CLIENT_(NAME, REQUEST, REPLY)
IPC_CALL_SERVER_(NAME, REQUEST, REPLY)
#ifdef IPC_NOTIFY_H
IPC_CALL_CLIENT_SLEEP_(NAME, REQUEST, REPLY)
IPC_CALL_SERVER_SLEEP_(NAME)
#endif
#ifdef IPC_SHM_H
IPC_RING_OPEN_(NAME, client, raw, IPC_CALL_TYPE, IPC_RING_PLAIN_, )
IPC_RING_OPEN_(NAME, server, raw, IPC_CALL_TYPE, IPC_RING_PLAIN_, )
#endif
IPC_TEMPLATE_END

#endif
