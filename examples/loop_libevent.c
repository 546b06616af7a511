/* SPDX-License-Identifier: BSD-3-Clause */
/* loop_libevent.c - a client without a thread of its own in a loop of libevent.
 * usage: loop_libevent [URL]     default: $POOLMUX_URL, else the server on this machine */
#include <event2/event.h>
#include <poolmux/poolmux.h>
#include <stdio.h>
#include <stdlib.h>

enum { CALLS = 100 };
struct app {
  pmx_client *client;
  struct event_base *base;
  int under_way, answered;
};

/* There is something to do for the client, be it by the clock. */
static void on_readable(evutil_socket_t fd, short what, void *ud)
{
  (void)fd, (void)what;
  pmx_dispatch(((struct app *)ud)->client, 0);
}

/* Runs inside pmx_dispatch, and could begin further calls. */
static void on_reply(void *ud, const pmx_reply *reply)
{
  struct app *app = ud;

  app->answered += pmx_ok(reply);
  if (!pmx_ok(reply))
    fprintf(stderr, "ECHO: %s\n", pmx_reply_error(reply));
  if (--app->under_way == 0)
    event_base_loopbreak(app->base);
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
  struct app app = {open_client(argc > 1 ? argv[1] : getenv("POOLMUX_URL")), event_base_new(), 0,
                    0};
  struct event *readable = NULL;

  if (app.client && app.base)
    readable =
        event_new(app.base, pmx_client_fd(app.client), EV_READ | EV_PERSIST, on_readable, &app);
  if (readable && event_add(readable, NULL) == 0) {
    for (int i = 0; i < CALLS; i++) /* sent when the loop comes to it */
      app.under_way += pmx_async(app.client, NULL, on_reply, &app, "ECHO %d", i) == PMX_OK;
    if (app.under_way)
      event_base_dispatch(app.base);
  }
  if (readable)
    event_free(readable); /* before the client: its descriptor goes with it */
  pmx_unref(app.client);  /* runs what callbacks are left */
  if (app.base)
    event_base_free(app.base);
  printf("%d of %d calls were answered\n", app.answered, CALLS);
  return app.answered == CALLS ? 0 : 1;
}
