// libav's log lines, bounded and thinned out before they reach Go. The callback runs on whatever thread libav
// logs from, text may carry bytes that an attacker chose, and damaged input can ask for thousands of lines a
// second: a line is cut at 512 bytes, and at most 20 lines pass in a second.
#include "shim.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdatomic.h>
#include <time.h>

enum { LINE = 512, LINES_A_SECOND = 20 };

extern void novaLogLine(int level, char *name, char *line, int suppressed);

static atomic_int level_max = AV_LOG_ERROR;
static atomic_llong window;
static atomic_int in_window;
static atomic_int suppressed;

static int admit(void) {
	long long now = (long long)time(NULL), then = atomic_load(&window);
	if (now != then && atomic_compare_exchange_strong(&window, &then, now)) atomic_store(&in_window, 0);
	if (atomic_fetch_add(&in_window, 1) < LINES_A_SECOND) return 1;
	atomic_fetch_add(&suppressed, 1);
	return 0;
}

static void forward(void *obj, int level, const char *fmt, va_list args) {
	char line[LINE];
	AVClass *class = obj ? *(AVClass **)obj : NULL;
	if ((level & 0xff) > atomic_load(&level_max) || !admit()) return;
	vsnprintf(line, sizeof line, fmt, args);
	novaLogLine(level & 0xff, class ? (char *)class->class_name : "", line, atomic_exchange(&suppressed, 0));
}

void nova_log_install(int level) {
	atomic_store(&level_max, level);
	av_log_set_level(level);
	av_log_set_callback(forward);
}

void nova_log_test(int level, const char *text) { av_log(NULL, level, "%s\n", text); }

void nova_log_reset(void) { atomic_store(&in_window, 0); }
