/*
 * collect - a log that many programs write to and any number read:
 *
 *     collect fifo:/tmp/logs file:/tmp/log    takes lines from the FIFO and keeps them in the log
 *     collect -w fifo:/tmp/logs < text        a writer: sends its input line by line
 *     collect -r file:/tmp/log [PLACE]        a reader: prints the log from there on, follows it
 *     collect -p file:/tmp/log [PLACE]        ... prints what is there, and then its PLACE
 *
 * The collector may be killed and started again, and so may readers: they go on at their place,
 * which is an offset and a mark, as -p prints them. Logs may be rotated: a reader says so.
 */
#include "ipc_channel.h"
#include <err.h>

enum { LINE = 4000 }; /* short enough that writers' lines do not mix: see ipc_channel.h */

static void open_or_die(struct ipc_channel *ch, const char *uri, unsigned role, int64_t offset,
                        uint64_t mark)
{
    struct ipc_channel_options how;

    memset(&how, 0, sizeof how);
    how.offset = offset;
    how.mark = mark;
    if (ipc_channel_open_with(ch, uri, role, ipc_in_ms(5000), &how) != 0)
        errx(1, "%s", ipc_channel_why(ch));
}

static int collect(const char *fifo, const char *log)
{
    struct ipc_channel in, out;
    char line[LINE];
    int64_t n;

    open_or_die(&out, log, IPC_SEND | IPC_LISTEN, 0, 0);
    open_or_die(&in, fifo, IPC_RECV | IPC_LISTEN, 0, 0);
    for (;;) {
        n = ipc_channel_recv(&in, line, sizeof line, IPC_FOREVER);
        if (n >= 0 && ipc_channel_send(&out, line, (size_t)n, IPC_FOREVER) != 0)
            errx(1, "%s", ipc_channel_why(&out));
        if (n < 0 && n != -EPIPE && n != -EOWNERDEAD && n != -EINTR) /* writers come and go */
            errx(1, "%s", ipc_channel_why(&in));
    }
}

static int send_lines(const char *fifo)
{
    struct ipc_channel out;
    char line[LINE];

    open_or_die(&out, fifo, IPC_SEND, 0, 0);
    while (fgets(line, sizeof line, stdin) != NULL)
        if (ipc_channel_send(&out, line, strcspn(line, "\n"), ipc_in_ms(5000)) != 0)
            errx(1, "%s", ipc_channel_why(&out));
    ipc_channel_close(&out);
    return 0;
}

static int print_log(const char *log, int64_t offset, uint64_t mark, int follow)
{
    struct ipc_channel_facts facts;
    struct ipc_channel in;
    char line[LINE];
    int64_t n;

    open_or_die(&in, log, IPC_RECV, offset, mark);
    for (;;) {
        n = ipc_channel_recv(&in, line, sizeof line, follow ? IPC_FOREVER : IPC_NOW);
        if (n == -ESTALE) /* rotated: the next call reads the new file */
            fprintf(stderr, "%s\n", ipc_channel_why(&in));
        else if (n < 0)
            break;
        else
            printf("%.*s\n", (int)n, line);
        fflush(stdout);
    }
    if (n != -ETIMEDOUT)
        errx(1, "%s", ipc_channel_why(&in));
    (void)ipc_channel_info(&in, &facts);
    printf("offset %lld, mark %llx\n", (long long)facts.offset, (unsigned long long)facts.mark);
    ipc_channel_close(&in);
    return 0;
}

int main(int argc, char **argv)
{
    const char *how = argc > 2 ? argv[1] : "";
    int64_t offset = argc > 3 ? strtoll(argv[3], NULL, 10) : 0;
    uint64_t mark = argc > 4 ? strtoull(argv[4], NULL, 16) : 0;

    if (strcmp(how, "-w") == 0 && argc == 3)
        return send_lines(argv[2]);
    if ((strcmp(how, "-r") == 0 || strcmp(how, "-p") == 0) && argc <= 5)
        return print_log(argv[2], offset, mark, how[1] == 'r');
    if (argc == 3)
        return collect(argv[1], argv[2]);
    errx(2, "usage: collect FIFO LOG | collect -w FIFO | collect -r LOG [OFFSET [MARK]] | "
            "collect -p LOG [OFFSET [MARK]]");
}
