/*
 * greet - a parent and its child greet each other over a channel:
 *
 *     greet pipe:          greet ring:hello          greet unix:@hello
 */
#include "ipc_channel.h"
#include <err.h>
#include <sys/wait.h>

static void say(struct ipc_channel *ch, const char *text)
{
    if (ipc_channel_send(ch, text, strlen(text), ipc_in_ms(5000)) != 0)
        errx(1, "%s", ipc_channel_why(ch));
}

static void hear(struct ipc_channel *ch, const char *who)
{
    char text[100];
    int64_t n = ipc_channel_recv(ch, text, sizeof text, ipc_in_ms(5000));

    if (n < 0)
        errx(1, "%s", ipc_channel_why(ch));
    printf("%s heard: %.*s\n", who, (int)n, text);
    fflush(stdout);
}

int main(int argc, char **argv)
{
    const char *uri = argc > 1 ? argv[1] : "pipe:";
    struct ipc_channel ch;
    int status = 1;

    if (ipc_channel_open(&ch, uri, IPC_BOTH | IPC_LISTEN, ipc_in_ms(1000)) != 0)
        errx(1, "%s", ipc_channel_why(&ch));
    switch (fork()) {
    case -1:
        err(1, "fork");
    case 0:
        /* A pipe is inherited by fork, and knows our end; anything else is opened by its URI. */
        if (strcmp(uri, "pipe:") != 0)
            ipc_channel_close(&ch); /* our copy of the parent's */
        if (strcmp(uri, "pipe:") != 0 && ipc_channel_open(&ch, uri, IPC_BOTH, ipc_in_ms(1000)) != 0)
            errx(1, "%s", ipc_channel_why(&ch));
        hear(&ch, "child");
        say(&ch, "Good morning, parent.");
        ipc_channel_close(&ch);
        return 0;
    }
    say(&ch, "Good morning, child.");
    hear(&ch, "parent");
    (void)wait(&status);
    ipc_channel_close(&ch);
    (void)ipc_channel_unlink(uri);
    return status != 0;
}
