/*
 * Functions that the parts of the addon share: reading arguments, and turning failures into JavaScript
 * errors.
 */

#pragma once
#define _GNU_SOURCE
#include <node_api.h>
#include <stdbool.h>
#include <stddef.h>

/* Longer than the longest path that the kernel accepts. */
#define TEXT_SIZE 4097

/* Each throws a TypeError that names the argument, and returns false, if the value has the wrong type. */
bool refuse(napi_env env, const char *name, const char *expected);
bool read_arguments(napi_env env, napi_callback_info info, size_t count, napi_value *values);
bool read_text(napi_env env, napi_value value, const char *name, char *text, size_t size);
bool read_int32(napi_env env, napi_value value, const char *name, int32_t *number);
bool read_uint16s(napi_env env, napi_value value, const char *name, uint16_t **items, size_t *length);

/* Makes `object` own `data` (from malloc). `tag` distinguishes it from other objects. */
bool wrap(napi_env env, napi_value object, void *data, const napi_type_tag *tag);
void *unwrap(napi_env env, napi_value object, const char *name, const napi_type_tag *tag);

/* An Error with the `code` and message of `number` (errno), and the name of the failed step. */
napi_value make_error(napi_env env, const char *step, int number);
napi_value throw_error(napi_env env, const char *step, int number);

napi_value create_devices(napi_env env, napi_callback_info info);
napi_value destroy_device(napi_env env, napi_callback_info info);
napi_value adopt_device(napi_env env, napi_callback_info info);

napi_value open_socket(napi_env env, napi_callback_info info);
napi_value adopt_socket(napi_env env, napi_callback_info info);
napi_value hand_over(napi_env env, napi_callback_info info);
napi_value pause_socket(napi_env env, napi_callback_info info);
napi_value resume_socket(napi_env env, napi_callback_info info);
napi_value close_socket(napi_env env, napi_callback_info info);

napi_value notify(napi_env env, napi_callback_info info);
napi_value notify_with(napi_env env, napi_callback_info info);

napi_value knock(napi_env env, napi_callback_info info);

napi_value make_pipe(napi_env env, napi_callback_info info);

napi_value trim_memory(napi_env env, napi_callback_info info);

napi_value deny_device(napi_env env, napi_callback_info info);
napi_value limit_terminals(napi_env env, napi_callback_info info);

napi_value set_send_buffer(napi_env env, napi_callback_info info);
napi_value close_on_exec(napi_env env, napi_callback_info info);

napi_value control_console(napi_env env, napi_callback_info info);
napi_value console_state(napi_env env, napi_callback_info info);
napi_value remove_tree(napi_env env, napi_callback_info info);
napi_value list_bridge_ports(napi_env env, napi_callback_info info);
napi_value set_bridge_port(napi_env env, napi_callback_info info);
napi_value isolate_ports(napi_env env, napi_callback_info info);
napi_value filter_new_ports(napi_env env, napi_callback_info info);
napi_value stop_isolating(napi_env env, napi_callback_info info);

napi_value keeps_projects(napi_env env, napi_callback_info info);
napi_value next_project(napi_env env, napi_callback_info info);
napi_value limit_project(napi_env env, napi_callback_info info);
napi_value give_to_project(napi_env env, napi_callback_info info);
