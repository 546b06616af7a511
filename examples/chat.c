/* SPDX-License-Identifier: BSD-3-Clause */
/* chat.c - a room that many terminals share: what one says all hear, by publish and subscribe. Lines
 * are read by the main thread, messages arrive on the client's own.
 * usage: chat [URL [NAME]]     one a terminal, with a NAME each; without one it says hello and ends
 *                              when it has heard itself. URL: $POOLMUX_URL, else this machine's */
#include <poolmux/poolmux.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char room[] = "poolmux:example:chat";
static sem_t heard;

static void on_message(void *ud, const pmx_message *m)
{
  (void)ud;
  if (m->type == PMX_MESSAGE_GAP)
    puts("* the connection was lost for a moment; you may have missed something");
  else
    printf("%s\n", m->data ? m->data : "?");
  fflush(stdout);
  sem_post(&heard);
}

/* How many heard it; below 0: it could not be said. */
static long long say(pmx_client *client, const char *name, const char *text)
{
  pmx_reply *reply = pmx_command(client, "PUBLISH %s %s:%s%s", room, name, " ", text);
  int ok;
  long long n = (long long)pmx_reply_int(reply, &ok);

  if (!ok)
    fprintf(stderr, "not said: %s\n", pmx_reply_error(reply));
  pmx_reply_free(reply);
  return ok ? n : -1;
}

static void chat(pmx_client *client, const char *name)
{
  char line[512];

  say(client, name, "* comes in");
  while (fgets(line, sizeof line, stdin)) {
    line[strcspn(line, "\n")] = '\0';
    say(client, name, line);
  }
  say(client, name, "* leaves");
}

int main(int argc, char **argv)
{
  pmx_reply *reply;
  pmx_client *client = pmx_open(argc > 1 ? argv[1] : getenv("POOLMUX_URL"), NULL, &reply);
  pmx_sub *sub = client ? pmx_sub_new(client, on_message, NULL) : NULL;
  int good = sub && sem_init(&heard, 0, 0) == 0;

  if (good) {
    reply = pmx_sub_add(sub, NULL, PMX_SUB_CHANNEL, room, sizeof room - 1);
    good = pmx_ok(reply);
  }
  if (!good)
    fprintf(stderr, "%s\n", pmx_reply_error(reply));
  pmx_reply_free(reply);
  if (good && argc > 2) {
    chat(client, argv[2]);
  } else if (good) {
    good = say(client, "nobody", "hello") > 0;
    if (good)
      sem_wait(&heard);
  }
  pmx_sub_free(sub); /* afterwards no callback runs */
  pmx_unref(client);
  return good ? 0 : 1;
}
