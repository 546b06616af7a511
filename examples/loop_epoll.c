/* SPDX-License-Identifier: BSD-3-Clause */
/* loop_epoll.c - a client without a thread of its own in a loop of plain epoll(7): ten calls are
 * under way at any time, and each callback begins the next one.
 * usage: loop_epoll [URL]     default: $POOLMUX_URL, else the server on this machine */
#include <errno.h>
#include <poolmux/poolmux.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

enum { CALLS = 1000, AT_ONCE = 10 };
struct app {
  pmx_client *client;
  int begun, ended, answered;
};

static void begin(struct app *app);

/* Runs inside pmx_dispatch. The reply is the library's; pmx_reply_ref would keep it. */
static void on_reply(void *ud, const pmx_reply *reply)
{
  struct app *app = ud;

  app->ended++;
  app->answered += pmx_ok(reply);
  if (!pmx_ok(reply))
    fprintf(stderr, "ECHO: %s\n", pmx_reply_error(reply));
  begin(app);
}

static void begin(struct app *app)
{
  if (app->begun == CALLS)
    return;
  if (pmx_async(app->client, NULL, on_reply, app, "ECHO %d", app->begun) == PMX_OK)
    app->begun++;
  else
    fprintf(stderr, "ECHO could not be begun\n"); /* no callback comes */
}

static pmx_client *open_client(const char *url)
{
  pmx_options *options = pmx_options_new();
  pmx_client *client;
  pmx_reply *err;

  pmx_options_set(options, "strategy", "mux");
  pmx_options_set(options, "io", "loop");
  pmx_options_set(options, "connect", "lazy"); /* else pmx_open waits for the server */
  client = pmx_open(url, options, &err);
  if (!client)
    fprintf(stderr, "open: %s\n", pmx_reply_error(err));
  pmx_reply_free(err);
  pmx_options_free(options);
  return client;
}

int main(int argc, char **argv)
{
  struct app app = {open_client(argc > 1 ? argv[1] : getenv("POOLMUX_URL")), 0, 0, 0};
  struct epoll_event event = {.events = EPOLLIN, .data.ptr = &app}; /* level-triggered */
  int set = epoll_create1(EPOLL_CLOEXEC), n = 0;

  if (app.client && epoll_ctl(set, EPOLL_CTL_ADD, pmx_client_fd(app.client), &event) == 0) {
    for (int i = 0; i < AT_ONCE; i++)
      begin(&app);
    while (app.ended < app.begun && (n >= 0 || errno == EINTR)) {
      n = epoll_wait(set, &event, 1, -1); /* the client's deadlines wake it, too */
      if (n > 0 && event.data.ptr == &app)
        pmx_dispatch(app.client, 0);
    }
  }
  close(set); /* before the client: its descriptor goes with it */
  pmx_unref(app.client);
  printf("%d of %d calls were answered\n", app.answered, CALLS);
  return app.answered == CALLS ? 0 : 1;
}
