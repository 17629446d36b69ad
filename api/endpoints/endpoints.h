/* endpoints: every endpoint of the API; the router's table lists them. */
#ifndef API_ENDPOINTS_ENDPOINTS_H
#define API_ENDPOINTS_ENDPOINTS_H

#include "api/request.h"

/* clang-format off */
extern const struct endpoint
    endpoint_jobs_post,
    endpoint_jobs_list,
    endpoint_job_get,
    endpoint_output_get,
    endpoint_uploads_post,
    endpoint_queues,
    endpoint_workers,
    endpoint_health,
    endpoint_ready,
    endpoint_metrics,
    endpoint_pause,
    endpoint_resume,
    endpoint_schedules,
    endpoint_schedule_get,
    endpoint_schedule_put,
    endpoint_schedule_delete,
    endpoint_schedule_pause,
    endpoint_schedule_resume,
    endpoint_schedule_run,
    endpoint_job_retry,
    endpoint_jobs_retry,
    endpoint_queue_get,
    endpoint_limits,
    endpoint_explain,
    endpoint_job_cancel,
    endpoint_job_events,
    endpoint_caps_put,
    endpoint_jobs_cancel,
    endpoint_batch_get,
    endpoint_batch_post,
    endpoint_recipes,
    endpoint_recipe_get,
    endpoint_recipe_put,
    endpoint_recipe_delete;
/* clang-format on */

#endif
