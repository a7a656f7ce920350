/*
 * The native addon. It provides kernel functions that Node lacks. It checks each argument, never blocks the
 * event loop, and makes no decisions; those are in the TypeScript files beside it.
 */

#include "addon.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

bool refuse(napi_env env, const char *name, const char *expected) {
  char message[128];
  snprintf(message, sizeof message, "%s must be %s", name, expected);
  napi_throw_type_error(env, "ERR_INVALID_ARG_TYPE", message);
  return false;
}

bool read_arguments(napi_env env, napi_callback_info info, size_t count, napi_value *values) {
  return napi_get_cb_info(env, info, &count, values, NULL, NULL) == napi_ok;
}

bool read_text(napi_env env, napi_value value, const char *name, char *text, size_t size) {
  size_t length = 0;
  if (napi_get_value_string_utf8(env, value, NULL, 0, &length) != napi_ok) return refuse(env, name, "a string");
  if (length == 0 || length >= size) return refuse(env, name, "neither empty nor that long");
  napi_get_value_string_utf8(env, value, text, size, &length);
  return strlen(text) == length || refuse(env, name, "without zero bytes");
}

bool read_int32(napi_env env, napi_value value, const char *name, int32_t *number) {
  double given;
  if (napi_get_value_double(env, value, &given) != napi_ok || !(given >= INT32_MIN && given <= INT32_MAX) ||
      given != (int32_t)given) {
    return refuse(env, name, "an integer of 32 bits");
  }
  *number = (int32_t)given;
  return true;
}

bool read_uint16s(napi_env env, napi_value value, const char *name, uint16_t **items, size_t *length) {
  bool is_typed_array = false;
  napi_typedarray_type type;
  napi_is_typedarray(env, value, &is_typed_array);
  if (!is_typed_array ||
      napi_get_typedarray_info(env, value, &type, length, (void **)items, NULL, NULL) != napi_ok ||
      type != napi_uint16_array) {
    return refuse(env, name, "a Uint16Array");
  }
  return true;
}

/* The descriptor is not closed here, because its number may belong to another file by then. */
static void forget(napi_env env, void *data, void *hint) {
  (void)env;
  (void)hint;
  free(data);
}

bool wrap(napi_env env, napi_value object, void *data, const napi_type_tag *tag) {
  return napi_wrap(env, object, data, forget, NULL, NULL) == napi_ok &&
         napi_type_tag_object(env, object, tag) == napi_ok;
}

void *unwrap(napi_env env, napi_value object, const char *name, const napi_type_tag *tag) {
  napi_valuetype type;
  bool is_tagged = false;
  void *data = NULL;
  if (napi_typeof(env, object, &type) == napi_ok && type == napi_object) {
    napi_check_object_type_tag(env, object, tag, &is_tagged);
  }
  if (!is_tagged || napi_unwrap(env, object, &data) != napi_ok) refuse(env, name, "what this addon made");
  return data;
}

napi_value make_error(napi_env env, const char *step, int number) {
  char text[160];
  napi_value code, message, error;
  snprintf(text, sizeof text, "%s: %s", step, uv_strerror(-number));
  napi_create_string_utf8(env, uv_err_name(-number), NAPI_AUTO_LENGTH, &code);
  napi_create_string_utf8(env, text, NAPI_AUTO_LENGTH, &message);
  napi_create_error(env, code, message, &error);
  return error;
}

napi_value throw_error(napi_env env, const char *step, int number) {
  napi_throw(env, make_error(env, step, number));
  return NULL;
}

NAPI_MODULE_INIT() {
  const napi_property_descriptor functions[] = {
    {"createDevices", NULL, create_devices, NULL, NULL, NULL, napi_enumerable, NULL},
    {"destroyDevice", NULL, destroy_device, NULL, NULL, NULL, napi_enumerable, NULL},
    {"adoptDevice", NULL, adopt_device, NULL, NULL, NULL, napi_enumerable, NULL},
    {"openSocket", NULL, open_socket, NULL, NULL, NULL, napi_enumerable, NULL},
    {"adoptSocket", NULL, adopt_socket, NULL, NULL, NULL, napi_enumerable, NULL},
    {"handOver", NULL, hand_over, NULL, NULL, NULL, napi_enumerable, NULL},
    {"pauseSocket", NULL, pause_socket, NULL, NULL, NULL, napi_enumerable, NULL},
    {"resumeSocket", NULL, resume_socket, NULL, NULL, NULL, napi_enumerable, NULL},
    {"closeSocket", NULL, close_socket, NULL, NULL, NULL, napi_enumerable, NULL},
    {"notify", NULL, notify, NULL, NULL, NULL, napi_enumerable, NULL},
    {"notifyWith", NULL, notify_with, NULL, NULL, NULL, napi_enumerable, NULL},
    {"knock", NULL, knock, NULL, NULL, NULL, napi_enumerable, NULL},
    {"makePipe", NULL, make_pipe, NULL, NULL, NULL, napi_enumerable, NULL},
    {"trimMemory", NULL, trim_memory, NULL, NULL, NULL, napi_enumerable, NULL},
    {"denyDevice", NULL, deny_device, NULL, NULL, NULL, napi_enumerable, NULL},
    {"limitTerminals", NULL, limit_terminals, NULL, NULL, NULL, napi_enumerable, NULL},
    {"setSendBuffer", NULL, set_send_buffer, NULL, NULL, NULL, napi_enumerable, NULL},
    {"closeOnExec", NULL, close_on_exec, NULL, NULL, NULL, napi_enumerable, NULL},
    {"controlConsole", NULL, control_console, NULL, NULL, NULL, napi_enumerable, NULL},
    {"consoleState", NULL, console_state, NULL, NULL, NULL, napi_enumerable, NULL},
    {"removeTree", NULL, remove_tree, NULL, NULL, NULL, napi_enumerable, NULL},
    {"listPorts", NULL, list_bridge_ports, NULL, NULL, NULL, napi_enumerable, NULL},
    {"setPort", NULL, set_bridge_port, NULL, NULL, NULL, napi_enumerable, NULL},
    {"isolatePorts", NULL, isolate_ports, NULL, NULL, NULL, napi_enumerable, NULL},
    {"filterNewPorts", NULL, filter_new_ports, NULL, NULL, NULL, napi_enumerable, NULL},
    {"stopIsolating", NULL, stop_isolating, NULL, NULL, NULL, napi_enumerable, NULL},
    {"keepsProjects", NULL, keeps_projects, NULL, NULL, NULL, napi_enumerable, NULL},
    {"nextProject", NULL, next_project, NULL, NULL, NULL, napi_enumerable, NULL},
    {"limitProject", NULL, limit_project, NULL, NULL, NULL, napi_enumerable, NULL},
    {"giveToProject", NULL, give_to_project, NULL, NULL, NULL, napi_enumerable, NULL},
  };
  napi_define_properties(env, exports, sizeof functions / sizeof *functions, functions);
  return exports;
}
