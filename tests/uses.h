/* Calls every function of the headers included before it, so that every warning shows. */

#ifdef IPC_RING_H
struct use_tick {
    uint64_t ns;
    double px;
};
struct use_odd {
    char text[13];
};

IPC_SPSC(use_ticks, struct use_tick)
IPC_SPSC(use_odds, struct use_odd)

int use_ring(void *mem, size_t size, struct ipc_peer *me);
int use_ring(void *mem, size_t size, struct ipc_peer *me)
{
    struct ipc_spsc_producer p;
    struct ipc_spsc_consumer c;
    struct use_ticks_producer tp;
    struct use_ticks_consumer tc;
    struct use_odds_producer op;
    struct use_odd odd;
    struct use_tick t[2], *slot;
    const struct use_tick *seen;
    int64_t n = 0;

    memset(t, 0, sizeof t);
    memset(&odd, 0, sizeof odd);
    if (ipc_spsc_init(mem, size, 8, 4) != 0 ||
        ipc_spsc_producer_attach(&p, mem, size, 8, me) != 0 ||
        ipc_spsc_consumer_attach(&c, mem, size, 8, me) != 0)
        return 1;
    n += ipc_spsc_push(&p, &n, 8) + ipc_spsc_push_n(&p, &n, 8, 1);
    n += ipc_spsc_push_more(&p, &n, 8) + ipc_spsc_flush(&p);
    n += ipc_spsc_claim(&p) != NULL ? ipc_spsc_commit(&p) : 0;
    ipc_spsc_cancel(&p);
    n += ipc_spsc_pop(&c, &n, 8) + ipc_spsc_pop_n(&c, &n, 8, 1);
    n += ipc_spsc_peek(&c) != NULL ? ipc_spsc_release(&c) : 0;
    ipc_spsc_replay(&c, 0);
    n += ipc_spsc_producer_error(&p) + ipc_spsc_consumer_error(&c);
    n += (int64_t)(ipc_spsc_producer_was_size(&p) + ipc_spsc_consumer_was_size(&c));
    n += (int64_t)(ipc_spsc_producer_peer(&p) + ipc_spsc_consumer_peer(&c));
    ipc_spsc_producer_detach(&p);
    ipc_spsc_consumer_detach(&c);

    if (use_ticks_init(mem, use_ticks_footprint(4), 4) != 0 ||
        use_ticks_producer_attach(&tp, mem, size, me) != 0 ||
        use_ticks_consumer_attach(&tc, mem, size, me) != 0)
        return 1;
    n += use_ticks_push(&tp, t) + use_ticks_push_n(&tp, t, 2);
    n += use_ticks_push_more(&tp, t) + use_ticks_flush(&tp);
    slot = use_ticks_claim(&tp);
    if (slot != NULL)
        slot->px = 1;
    n += use_ticks_commit(&tp);
    use_ticks_cancel(&tp);
    n += use_ticks_pop(&tc, t) + use_ticks_pop_n(&tc, t, 2);
    seen = use_ticks_peek(&tc);
    n += seen != NULL ? (int64_t)seen->ns : 0;
    n += use_ticks_release(&tc);
    use_ticks_replay(&tc, 1);
    n += use_ticks_producer_error(&tp) + use_ticks_consumer_error(&tc);
    n += (int64_t)(use_ticks_producer_was_size(&tp) + use_ticks_consumer_was_size(&tc));
    n += (int64_t)(use_ticks_producer_peer(&tp) + use_ticks_consumer_peer(&tc));
    use_ticks_producer_detach(&tp);
    use_ticks_consumer_detach(&tc);
    n += use_odds_producer_attach(&op, mem, size, me) == 0 ? use_odds_push(&op, &odd) : 0;
    return (int)n;
}
IPC_STREAM(use_bytes, char)
IPC_STREAM(use_odd_stream, struct use_odd)

int64_t use_stream(void *mem, size_t size, struct ipc_peer *me);
int64_t use_stream(void *mem, size_t size, struct ipc_peer *me)
{
    struct ipc_stream_producer p;
    struct ipc_stream_consumer c;
    struct ipc_stream_regions r;
    struct use_bytes_producer bp;
    struct use_bytes_consumer bc;
    struct use_bytes_regions br;
    struct use_odd_stream_producer op;
    struct use_odd odd;
    char text[4] = "";
    int64_t n = 0;

    memset(&odd, 0, sizeof odd);
    n += ipc_stream_init(mem, size, 8, 4) + (int64_t)ipc_stream_footprint(8, 4);
    n += ipc_stream_producer_attach(&p, mem, size, 8, me) +
         ipc_stream_consumer_attach(&c, mem, size, 8, me);
    n += ipc_stream_push_n(&p, &n, 8, 1) + ipc_stream_push_all(&p, &n, 8, 1);
    n += ipc_stream_claim(&p, 1) != NULL ? ipc_stream_commit(&p, 1) : 0;
    n += (int64_t)(ipc_stream_room(&p, &r) + ipc_stream_data(&c, &r));
    n += ipc_stream_pop_n(&c, &n, 8, 1) + ipc_stream_pop_all(&c, &n, 8, 1);
    n += ipc_stream_peek(&c, 1) != NULL ? ipc_stream_release(&c, 1) : 0;
    n += ipc_stream_producer_error(&p) + ipc_stream_consumer_error(&c);
    n += (int64_t)(ipc_stream_producer_was_size(&p) + ipc_stream_consumer_was_size(&c));
    ipc_stream_producer_detach(&p);
    ipc_stream_consumer_detach(&c);
    n += use_bytes_init(mem, use_bytes_footprint(4), 4);
    n += use_bytes_producer_attach(&bp, mem, size, me) +
         use_bytes_consumer_attach(&bc, mem, size, me);
    n += use_bytes_push_n(&bp, text, 2) + use_bytes_push_all(&bp, text, 2);
    if (use_bytes_claim(&bp, 1) != NULL)
        n += use_bytes_commit(&bp, 1);
    n += (int64_t)(use_bytes_room(&bp, &br) + use_bytes_data(&bc, &br));
    n += use_bytes_pop_n(&bc, text, 2) + use_bytes_pop_all(&bc, text, 2);
    if (use_bytes_peek(&bc, 1) != NULL)
        n += use_bytes_release(&bc, 1);
    n += use_bytes_producer_error(&bp) + use_bytes_consumer_error(&bc);
    n += use_bytes_producer_twice(&bp) + use_bytes_consumer_twice(&bc);
    n += (int64_t)(use_bytes_producer_was_size(&bp) + use_bytes_consumer_was_size(&bc));
    use_bytes_producer_detach(&bp);
    use_bytes_consumer_detach(&bc);
    n += use_odd_stream_producer_attach(&op, mem, size, me);
    return n + use_odd_stream_push_all(&op, &odd, 1);
}

IPC_BROADCAST(use_news, struct use_tick)
IPC_BROADCAST(use_odd_news, struct use_odd)

int64_t use_broadcast(void *mem, size_t size, struct ipc_peer *me);
int64_t use_broadcast(void *mem, size_t size, struct ipc_peer *me)
{
    struct ipc_broadcast_producer p;
    struct ipc_broadcast_consumer c;
    struct use_news_producer np;
    struct use_news_consumer nc;
    struct use_odd_news_producer op;
    struct use_tick t[2];
    struct use_odd odd;
    int64_t n = 0;

    memset(t, 0, sizeof t);
    memset(&odd, 0, sizeof odd);
    n += ipc_broadcast_init(mem, size, 8, 4, IPC_BROADCAST_LOSSY) +
         (int64_t)ipc_broadcast_footprint(8, 4, IPC_BROADCAST_READERS(100));
    n += ipc_broadcast_producer_attach(&p, mem, size, 8, me) +
         ipc_broadcast_consumer_attach(&c, mem, size, 8, me);
    n += ipc_broadcast_push(&p, &n, 8) + ipc_broadcast_push_n(&p, &n, 8, 1);
    n += ipc_broadcast_claim(&p) != NULL ? ipc_broadcast_commit(&p) : 0;
    ipc_broadcast_cancel(&p);
    n += ipc_broadcast_pop(&c, &n, 8) + ipc_broadcast_pop_n(&c, &n, 8, 1);
    n += ipc_broadcast_peek(&c) != NULL ? ipc_broadcast_release(&c) : 0;
    n += ipc_broadcast_producer_error(&p) + ipc_broadcast_consumer_error(&c);
    n += (int64_t)ipc_broadcast_missed(&c);
    ipc_broadcast_producer_detach(&p);
    ipc_broadcast_consumer_detach(&c);
    n += use_news_init(mem, use_news_footprint(4, 0), 4, IPC_BROADCAST_LOSSLESS);
    n +=
        use_news_producer_attach(&np, mem, size, me) + use_news_consumer_attach(&nc, mem, size, me);
    n += use_news_push(&np, t) + use_news_push_n(&np, t, 2);
    if (use_news_claim(&np) != NULL)
        n += use_news_commit(&np);
    use_news_cancel(&np);
    n += use_news_pop(&nc, t) + use_news_pop_n(&nc, t, 2);
    if (use_news_peek(&nc) != NULL)
        n += use_news_release(&nc);
    n += use_news_producer_error(&np) + use_news_consumer_error(&nc);
    n += (int64_t)use_news_missed(&nc);
    use_news_producer_detach(&np);
    use_news_consumer_detach(&nc);
    n += use_odd_news_producer_attach(&op, mem, size, me);
    return n + use_odd_news_push(&op, &odd);
}

IPC_RECORDS(use_lines)
IPC_RECORD_BROADCAST(use_reports)

int64_t use_records(void *mem, size_t size, struct ipc_peer *me);
int64_t use_records(void *mem, size_t size, struct ipc_peer *me)
{
    struct ipc_record_producer p;
    struct ipc_record_consumer c;
    struct ipc_record_sender from = {0, 0, 0};
    struct use_lines_producer lp;
    struct use_lines_consumer lc;
    struct ipc_record some[2];
    char text[16] = "";
    int64_t n = 0;
    size_t length;

    some[0].at = some[1].at = text;
    some[0].n = some[1].n = 3;
    n += ipc_record_init(mem, size, 64, 2) + (int64_t)ipc_record_footprint(64, 2);
    n += ipc_record_producer_attach(&p, mem, size, me) +
         ipc_record_consumer_attach(&c, mem, size, me);
    n += ipc_record_push(&p, text, 3) + ipc_record_push_n(&p, some, 2);
    n += ipc_record_push_more(&p, text, 3) + ipc_record_flush(&p);
    n += ipc_record_claim(&p, ipc_record_most(&p)) != NULL ? ipc_record_commit(&p, 1) : 0;
    ipc_record_cancel(&p);
    n += ipc_record_pop(&c, text, 3) + ipc_record_pop_n(&c, text, sizeof text, some, 2);
    n += ipc_record_peek(&c, &length) != NULL ? ipc_record_release(&c) : 0;
    ipc_record_replay(&c, 0);
    ipc_record_merge(&c, 1, NULL);
    n += ipc_record_source(&c, &from) + ipc_record_ended(&c);
    n += ipc_record_producer_error(&p) + ipc_record_consumer_error(&c);
    n += (int64_t)(ipc_record_producer_peer(&p) + ipc_record_consumer_peer(&c));
    n += (int64_t)ipc_record_was_size(&p);
    ipc_record_producer_detach(&p);
    ipc_record_consumer_detach(&c);
    n += use_lines_init(mem, use_lines_footprint(64, 1), 64, 1);
    n += use_lines_producer_attach(&lp, mem, size, me) +
         use_lines_consumer_attach(&lc, mem, size, me);
    n += use_lines_push(&lp, text, 3) + use_lines_push_n(&lp, some, 2);
    n += use_lines_push_more(&lp, text, 3) + use_lines_flush(&lp);
    if (use_lines_claim(&lp, use_lines_most(&lp)) != NULL)
        n += use_lines_commit(&lp, 1);
    use_lines_cancel(&lp);
    n += use_lines_pop(&lc, text, 3) + use_lines_pop_n(&lc, text, sizeof text, some, 2);
    if (use_lines_peek(&lc, &length) != NULL)
        n += use_lines_release(&lc);
    use_lines_replay(&lc, 0);
    n += use_lines_producer_error(&lp) + use_lines_consumer_error(&lc);
    n += (int64_t)(use_lines_producer_peer(&lp) + use_lines_consumer_peer(&lc));
    use_lines_producer_detach(&lp);
    use_lines_consumer_detach(&lc);
    return n;
}

int64_t use_record_broadcast(void *mem, size_t size, struct ipc_peer *me);
int64_t use_record_broadcast(void *mem, size_t size, struct ipc_peer *me)
{
    struct ipc_record_broadcast_producer p;
    struct ipc_record_broadcast_consumer c;
    struct use_reports_producer rp;
    struct use_reports_consumer rc;
    struct ipc_record some[2];
    char text[16] = "";
    int64_t n = 0;
    size_t length;

    some[0].at = some[1].at = text;
    some[0].n = some[1].n = 3;
    n += ipc_record_broadcast_init(mem, size, 64, IPC_BROADCAST_LOSSY);
    n += (int64_t)ipc_record_broadcast_footprint(64, 0);
    n += ipc_record_broadcast_producer_attach(&p, mem, size, me) +
         ipc_record_broadcast_consumer_attach(&c, mem, size, me);
    n += ipc_record_broadcast_push(&p, text, 3) + ipc_record_broadcast_push_n(&p, some, 2);
    if (ipc_record_broadcast_claim(&p, ipc_record_broadcast_most(&p)) != NULL)
        n += ipc_record_broadcast_commit(&p, 1);
    ipc_record_broadcast_cancel(&p);
    n += ipc_record_broadcast_pop(&c, text, 3) +
         ipc_record_broadcast_pop_n(&c, text, sizeof text, some, 2);
    n += ipc_record_broadcast_peek(&c, &length) != NULL ? ipc_record_broadcast_release(&c) : 0;
    n += ipc_record_broadcast_producer_error(&p) + ipc_record_broadcast_consumer_error(&c);
    n += (int64_t)ipc_record_broadcast_missed(&c);
    ipc_record_broadcast_producer_detach(&p);
    ipc_record_broadcast_consumer_detach(&c);
    n += use_reports_init(mem, use_reports_footprint(64, 0), 64, IPC_BROADCAST_LOSSLESS);
    n += use_reports_producer_attach(&rp, mem, size, me) +
         use_reports_consumer_attach(&rc, mem, size, me);
    n += use_reports_push(&rp, text, 3) + use_reports_push_n(&rp, some, 2);
    if (use_reports_claim(&rp, use_reports_most(&rp)) != NULL)
        n += use_reports_commit(&rp, 1);
    use_reports_cancel(&rp);
    n += use_reports_pop(&rc, text, 3) + use_reports_pop_n(&rc, text, sizeof text, some, 2);
    if (use_reports_peek(&rc, &length) != NULL)
        n += use_reports_release(&rc);
    n += use_reports_producer_error(&rp) + use_reports_consumer_error(&rc);
    n += (int64_t)use_reports_missed(&rc);
    use_reports_producer_detach(&rp);
    use_reports_consumer_detach(&rc);
    return n;
}

IPC_MPMC(use_jobs, struct use_tick)
IPC_MPSC(use_logs, struct use_odd)
IPC_SPMC(use_feeds, struct use_tick)
struct use_letter {
    char text[100]; /* more than what one compare-and-swap moves */
};
IPC_MPMC(use_letters, struct use_letter)

int use_long(struct use_letters_producer *p, const struct use_letter *message);
int use_long(struct use_letters_producer *p, const struct use_letter *message)
{
    return use_letters_push(p, message);
}

int64_t use_many(void *mem, size_t size, struct ipc_peer *me);
int64_t use_many(void *mem, size_t size, struct ipc_peer *me)
{
    struct ipc_mpmc_producer p;
    struct ipc_mpmc_consumer c;
    struct use_jobs_producer jp;
    struct use_jobs_consumer jc;
    struct use_logs_producer lp;
    struct use_logs_consumer lc;
    struct use_feeds_producer fp;
    struct use_feeds_consumer fc;
    struct use_tick t[2];
    struct use_odd odd;
    int64_t n = 0;

    memset(t, 0, sizeof t);
    memset(&odd, 0, sizeof odd);
    n += ipc_mpmc_init(mem, size, 8, 4, IPC_MPMC_AT_LEAST_ONCE);
    n += ipc_mpmc_producer_attach(&p, mem, size, 8, me, 0) +
         ipc_mpmc_consumer_attach(&c, mem, size, 8, me, 0);
    n += ipc_mpmc_push(&p, &n, 8) + ipc_mpmc_push_n(&p, &n, 8, 1);
    n += ipc_mpmc_claim(&p) != NULL ? ipc_mpmc_commit(&p) : 0;
    ipc_mpmc_cancel(&p);
    n += ipc_mpmc_pop(&c, &n, 8) + ipc_mpmc_pop_n(&c, &n, 8, 1);
    n += ipc_mpmc_peek(&c) != NULL ? ipc_mpmc_release(&c) : 0;
    n += ipc_mpmc_producer_error(&p) + ipc_mpmc_consumer_error(&c);
    n += ipc_mpmc_producer_recover(&p, 0) + ipc_mpmc_consumer_recover(&c, 0);
    n += (int64_t)(ipc_mpmc_producer_losses(&p).lost + ipc_mpmc_consumer_losses(&c).again);
    ipc_mpmc_producer_detach(&p);
    ipc_mpmc_consumer_detach(&c);
    n += use_jobs_init(mem, use_jobs_footprint(4, IPC_MPMC_HANDLES(1000)), 4,
                       IPC_MPMC_AT_MOST_ONCE | IPC_MPMC_HANDLES(1000));
    n +=
        use_jobs_producer_attach(&jp, mem, size, me) + use_jobs_consumer_attach(&jc, mem, size, me);
    n += use_jobs_push(&jp, t) + use_jobs_push_n(&jp, t, 2);
    if (use_jobs_claim(&jp) != NULL)
        n += use_jobs_commit(&jp);
    use_jobs_cancel(&jp);
    n += use_jobs_pop(&jc, t) + use_jobs_pop_n(&jc, t, 2);
    if (use_jobs_peek(&jc) != NULL)
        n += use_jobs_release(&jc);
    n += use_jobs_producer_error(&jp) + use_jobs_consumer_error(&jc);
    n += use_jobs_producer_recover(&jp, 0) + use_jobs_consumer_recover(&jc, 0);
    n += (int64_t)(use_jobs_producer_losses(&jp).lost + use_jobs_consumer_losses(&jc).lost);
    use_jobs_producer_detach(&jp);
    use_jobs_consumer_detach(&jc);
    n +=
        use_logs_producer_attach(&lp, mem, size, me) + use_logs_consumer_attach(&lc, mem, size, me);
    n += use_logs_push(&lp, &odd) + use_logs_pop(&lc, &odd);
    n += use_feeds_producer_attach(&fp, mem, size, me) +
         use_feeds_consumer_attach(&fc, mem, size, me);
    return n + use_feeds_push(&fp, t) + use_feeds_pop(&fc, t);
}

IPC_CALL(use_calls, struct use_tick, struct use_odd)

int64_t use_call(void *mem, size_t size, struct ipc_peer *me);
int64_t use_call(void *mem, size_t size, struct ipc_peer *me)
{
    struct ipc_call_client c;
    struct ipc_call_server s;
    struct ipc_ring_status status;
    struct ipc_ring_hold holds[2];
    uint64_t from = 0;
    struct use_calls_client uc;
    struct use_calls_server us;
    union use_calls_slot *slot;
    struct use_tick t = {0, 0}, *request;
    struct use_odd odd;
    void *message;
    int64_t n = 0;

    n += ipc_ring_inspect(mem, size, &status) + (int64_t)status.sent;
    n += ipc_ring_holders(mem, size, &from, holds, 2);
    n += (int64_t)ipc_call_footprint(8, 8, 3) + ipc_call_init(mem, size, 8, 8, 3);
    n += ipc_call_client_attach(&c, mem, size, 8, 8, me);
    n += ipc_call_server_attach(&s, mem, size, 8, 8, me);
    n += ipc_call_ask(&c, &n, 8) + ipc_call_claim(&c, &message) + ipc_call_commit(&c);
    message = ipc_call_take(&s);
    n += (int64_t)ipc_call_server_peer(&s, message) + ipc_call_answer(&s, message);
    n += ipc_call_poll(&c) + ipc_call_collect(&c, &n, 8) + (ipc_call_peek(&c) != NULL);
    ipc_call_cancel(&c);
    n += ipc_call_client_error(&c) + ipc_call_server_error(&s);
    ipc_call_client_detach(&c);
    ipc_call_server_detach(&s);
    n += (int64_t)use_calls_footprint(3) + use_calls_init(mem, size, 3);
    n += use_calls_client_attach(&uc, mem, size, me) + use_calls_server_attach(&us, mem, size, me);
    n += use_calls_ask(&uc, &t) + use_calls_claim(&uc, &request) + use_calls_commit(&uc);
    slot = use_calls_take(&us);
    if (slot != NULL)
        n += (int64_t)use_calls_server_peer(&us, slot) + use_calls_answer(&us, slot);
    n += use_calls_poll(&uc) + use_calls_collect(&uc, &odd) + (use_calls_peek(&uc) != NULL);
    use_calls_cancel(&uc);
    n += use_calls_client_error(&uc) + use_calls_server_error(&us);
    use_calls_client_detach(&uc);
    use_calls_server_detach(&us);
    return n;
}
#endif

#ifdef IPC_SHM_H
int use_shm(int fd);
int use_shm(int fd)
{
    struct ipc_shm_options how = IPC_SHM_DEFAULTS;
    struct ipc_shm seg;
    struct ipc_shm_object o;
    struct ipc_shm_member who;
    int rc = 0;

    how.flags = IPC_SHM_FRESH | IPC_SHM_HUGE | IPC_SHM_MLOCK | IPC_SHM_NO_PREFAULT;
    rc += ipc_shm_create(&seg, "use", 1) + ipc_shm_create_with(&seg, "use", 1, &how);
    rc += ipc_shm_open(&seg, "use", IPC_NOW) + ipc_shm_open_with(&seg, "use", ipc_in_ms(1), &how);
    rc += ipc_shm_open_or_create(&seg, "use", 1, NULL);
    rc += ipc_shm_send(&seg, fd) + ipc_shm_recv(&seg, fd, IPC_FOREVER);
    rc += ipc_shm_recv_with(&seg, fd, IPC_FOREVER, &how);
    rc += ipc_shm_make(&seg, "o", 1, 1, &o) + ipc_shm_publish(&seg, &o);
    rc += ipc_shm_find(&seg, "o", 1, &o) + ipc_shm_list(&seg, 0, &o);
    rc += ipc_shm_open_fd(&seg, fd, &how) + (int)ipc_shm_was_used(&seg);
    rc += ipc_shm_unlink_dead(&seg, "use", &how);
    rc += ipc_shm_hand_over(&seg) + ipc_shm_alive(&seg, ipc_shm_peer(&seg)->id);
    rc += ipc_shm_who(&seg, 0, &who);
    rc += ipc_shm_refuse(&seg, -1, "%s", ipc_shm_why(&seg));
    ipc_shm_close(&seg);
    rc += ipc_shm_sync(&seg);
    return rc + ipc_shm_unlink("use");
}
#endif

#ifdef IPC_NOTIFY_H
int use_notify(void *mem, struct ipc_peer *me, int socket);
int use_notify(void *mem, struct ipc_peer *me, int socket)
{
    struct ipc_notify n, *all[1];
    struct ipc_any any;
    unsigned i = 0;
    int rc = ipc_notify_init(mem, IPC_NOTIFY_SIZE, IPC_NOTIFY_EVENTFD);

    all[0] = &n;
    rc += ipc_notify_attach(&n, mem, IPC_NOTIFY_SIZE, IPC_NOTIFY_EVENTFD, me) +
          ipc_any_init(&any, all, 1);
    ipc_notify_policy(&n, 1, 1);
    ipc_notify_watch(&n, 1);
    ipc_notify_watch_anyone(&n);
    (void)ipc_notify_wake_unasked(&n);
    rc += ipc_notify_anyone_died(&n);
    rc += ipc_notify_wait(&n, ipc_notify_prepare(&n), ipc_in_ms(1));
    rc += ipc_wait(&n, IPC_NOW, rc == 0);
    rc += ipc_wait_any(&any, IPC_NOW, i, rc == (int)i);
    rc += ipc_notify_post(&n) + ipc_notify_post_one(&n);
    rc += ipc_notify_fd(&n) + ipc_notify_listen(&n, SIGRTMIN);
    rc += ipc_notify_target(&n, 1, SIGRTMIN);
    rc += ipc_notify_send_fd(&n, socket) + ipc_notify_recv_fd(&n, socket, IPC_NOW);
    ipc_notify_arm(&n);
    ipc_notify_drain(&n);
    rc += (int)ipc_notify_uses(&n) + ipc_notify_was_asleep(mem, IPC_NOTIFY_SIZE);
    ipc_any_close(&any);
    ipc_notify_detach(&n);
    return rc;
}
#endif

#if defined(IPC_RING_H) && defined(IPC_NOTIFY_H)
int use_sleep(struct use_ticks_producer *p, struct use_ticks_consumer *c);
int use_sleep(struct use_ticks_producer *p, struct use_ticks_consumer *c)
{
    struct use_tick t = {0, 0};
    int rc = use_ticks_send(p, &t, IPC_NOW) + use_ticks_recv(c, &t, IPC_FOREVER);

    rc += use_ticks_producer_wait(p, IPC_NOW) + use_ticks_consumer_wait(c, IPC_NOW);
    rc += use_ticks_producer_post(p) + use_ticks_consumer_post(c);
    ipc_notify_policy(use_ticks_producer_bell(p), 0, 0);
    ipc_notify_policy(use_ticks_consumer_bell(c), 0, 0);
    return rc;
}

int64_t use_stream_sleep(struct use_bytes_producer *p, struct use_bytes_consumer *c);
int64_t use_stream_sleep(struct use_bytes_producer *p, struct use_bytes_consumer *c)
{
    char text[2] = "";
    int64_t rc = use_bytes_send(p, text, 2, IPC_NOW) + use_bytes_recv(c, text, 2, IPC_FOREVER);

    rc += use_bytes_producer_wait(p, 1, IPC_NOW) + use_bytes_consumer_wait(c, 1, IPC_NOW);
    rc += use_bytes_producer_post(p) + use_bytes_consumer_post(c);
    ipc_notify_policy(use_bytes_producer_bell(p), 0, 0);
    ipc_notify_policy(use_bytes_consumer_bell(c), 0, 0);
    return rc;
}

int use_broadcast_sleep(struct use_news_producer *p, struct use_news_consumer *c);
int use_broadcast_sleep(struct use_news_producer *p, struct use_news_consumer *c)
{
    struct use_tick t = {0, 0};
    int rc = use_news_send(p, &t, IPC_NOW) + use_news_recv(c, &t, IPC_FOREVER);

    rc += use_news_producer_wait(p, IPC_NOW) + use_news_consumer_wait(c, IPC_NOW);
    rc += use_news_producer_post(p) + use_news_consumer_post(c);
    ipc_notify_policy(use_news_producer_bell(p), 0, 0);
    ipc_notify_policy(use_news_consumer_bell(c), 0, 0);
    return rc;
}

int64_t use_records_sleep(struct use_lines_producer *p, struct use_lines_consumer *c);
int64_t use_records_sleep(struct use_lines_producer *p, struct use_lines_consumer *c)
{
    char text[4] = "";
    struct ipc_record_sender from = {0, 0, 0};
    int64_t rc = use_lines_send(p, text, 4, IPC_NOW) + use_lines_recv(c, text, 4, IPC_FOREVER);

    rc += use_lines_producer_wait(p, 4, IPC_NOW) + use_lines_consumer_wait(c, IPC_NOW);
    rc += use_lines_producer_post(p) + use_lines_consumer_post(c);
    use_lines_watch_producers(c);
    use_lines_merge(c, 1000);
    rc += use_lines_ended(c) + use_lines_source(c, &from);
    ipc_notify_policy(use_lines_producer_bell(p), 0, 0);
    ipc_notify_policy(use_lines_consumer_bell(c), 0, 0);
    return rc;
}

int64_t use_record_broadcast_sleep(struct use_reports_producer *p, struct use_reports_consumer *c);
int64_t use_record_broadcast_sleep(struct use_reports_producer *p, struct use_reports_consumer *c)
{
    char text[4] = "";
    int64_t rc = use_reports_send(p, text, 4, IPC_NOW) + use_reports_recv(c, text, 4, IPC_FOREVER);

    rc += use_reports_producer_wait(p, 4, IPC_NOW) + use_reports_consumer_wait(c, IPC_NOW);
    rc += use_reports_producer_post(p) + use_reports_consumer_post(c);
    ipc_notify_policy(use_reports_producer_bell(p), 0, 0);
    ipc_notify_policy(use_reports_consumer_bell(c), 0, 0);
    return rc;
}

int use_many_sleep(struct use_jobs_producer *p, struct use_jobs_consumer *c);
int use_many_sleep(struct use_jobs_producer *p, struct use_jobs_consumer *c)
{
    struct use_tick t = {0, 0};
    int rc = use_jobs_send(p, &t, IPC_NOW) + use_jobs_recv(c, &t, IPC_FOREVER);

    rc += use_jobs_producer_wait(p, IPC_NOW) + use_jobs_consumer_wait(c, IPC_NOW);
    rc += use_jobs_producer_post(p) + use_jobs_consumer_post(c);
    ipc_notify_policy(use_jobs_producer_bell(p), 0, 0);
    ipc_notify_policy(use_jobs_consumer_bell(c), 0, 0);
    return rc;
}

int use_call_sleep(struct use_calls_client *c, struct use_calls_server *s);
int use_call_sleep(struct use_calls_client *c, struct use_calls_server *s)
{
    struct use_tick t = {0, 0};
    struct use_odd odd;
    union use_calls_slot *slot;
    int rc = use_calls_call(c, &t, &odd, IPC_NOW) + use_calls_client_wait(c, IPC_FOREVER);

    rc += use_calls_serve(s, &slot, IPC_NOW);
    ipc_notify_policy(use_calls_client_bell(c), 0, 0);
    ipc_notify_policy(use_calls_server_bell(s), 0, 0);
    return rc;
}
#endif

#if defined(IPC_RING_H) && defined(IPC_SHM_H)
int use_both(struct ipc_shm *seg);
int use_both(struct ipc_shm *seg)
{
    struct use_ticks_producer p;
    struct use_ticks_consumer c;

    struct use_jobs_producer jp;
    struct use_jobs_consumer jc;
    struct use_bytes_producer bp;
    struct use_bytes_consumer bc;
    struct use_news_producer np;
    struct use_news_consumer nc;
    struct use_lines_producer lp;
    struct use_lines_consumer lc;
    struct use_reports_producer rp;
    struct use_reports_consumer rc;

    if (use_lines_producer_create(&lp, seg, "lines", 64, 2) +
        use_lines_consumer_open(&lc, seg, "lines") +
        use_reports_producer_create(&rp, seg, "reports", 64, IPC_BROADCAST_LOSSY) +
        use_reports_consumer_open(&rc, seg, "reports"))
        return 1;
    if (use_news_producer_create(&np, seg, "news", 4, IPC_BROADCAST_LOSSY) +
        use_news_consumer_open(&nc, seg, "news"))
        return 1;
    if (use_bytes_producer_create(&bp, seg, "bytes", 4096) +
            use_bytes_consumer_open(&bc, seg, "bytes") !=
        0)
        return 1;
    struct use_calls_client cc;
    struct use_calls_server cs;

    return use_ticks_producer_create(&p, seg, "ticks", 4) +
           use_ticks_consumer_open(&c, seg, "ticks") +
           use_jobs_create(seg, "jobs", 4, IPC_MPMC_AT_LEAST_ONCE) +
           use_jobs_producer_open(&jp, seg, "jobs") + use_jobs_consumer_open(&jc, seg, "jobs") +
           use_calls_create(seg, "calls", 3) + use_calls_client_open(&cc, seg, "calls") +
           use_calls_server_open(&cs, seg, "calls");
}
#endif

#ifdef IPC_CHANNEL_H
int64_t use_channel(const char *uri);
int64_t use_channel(const char *uri)
{
    struct ipc_channel_options how;
    struct ipc_channel ch, client, *any[1] = {&ch};
    struct ipc_channel_facts facts;
    char text[4] = "";
    int64_t n = ipc_channel_open(&ch, uri, IPC_RECV, IPC_NOW);

    memset(&how, 0, sizeof how);
    n += ipc_channel_open_with(&ch, uri, IPC_BOTH | IPC_LISTEN, IPC_NOW, &how);
    n += ipc_channel_accept(&ch, &client, IPC_NOW) + ipc_channel_info(&ch, &facts);
    n += ipc_channel_send(&ch, text, 4, IPC_NOW) + ipc_channel_recv(&ch, text, 4, IPC_FOREVER);
    n += ipc_channel_flush(&ch, ipc_in_ms(1)) + ipc_channel_fd(&ch) + *ipc_channel_why(&ch);
    n += ipc_channel_send_to(&ch, ch.from, text, 4, IPC_NOW) + ipc_channel_drop(&ch, ch.from);
    n += ipc_channel_wait_any(any, 1, IPC_NOW);
    ipc_channel_close(&ch);
    return n + ipc_channel_unlink(uri);
}
#endif
