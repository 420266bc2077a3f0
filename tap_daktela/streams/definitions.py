"""The declarations of all streams: endpoint, keys, replication key and columns.

The catalog, the requested fields and the records of a stream follow from its declaration.

To add a stream, declare a `Stream` and add it to `STREAMS`. Set `replication_key` if the API has a field that
changes with every change of a row, and `selected_by_default=False` unless most users need the stream. The last
column is `server`. Never rename or move an existing column, since tables of users have it.

The columns of the original extractor come first, in its order and with its names (daktela-api.md §5.2). All other
fields of the API's read schema follow (§4.3). `official=False` marks fields that this schema does not have: those
of older builds, and those that only the help pages mention.

A stream with a replication key is read with conditions on that key. This assumes that it is null in no row, since
no condition matches null.
"""

from __future__ import annotations

from tap_daktela.streams.fields import (
    SERVER,
    UNIQUE_ID,
    Field,
    Stream,
    any_as_text,
    boolean,
    in_item,
    integer,
    key,
    mapping,
    moment,
    number,
    prefixed,
    relation,
    relations,
    scalar_relation,
    text,
)

# Ends the description of a field that current builds no longer have. Unless such a field is clearly a boolean, its
# column contains any value as text, because its type is not documented.
_GONE = "Null on current builds."


_DELETED = boolean("deleted", f"Whether the row was marked as deleted. {_GONE}", official=False)
_CUSTOM_FIELDS = mapping("customFields", "Custom fields of this instance, each a list of texts.")
_OPTIONS = mapping("options", "Further parameters, without fixed properties.")


# --- Full tables --------------------------------------------------------------------------------------------

_ACCOUNTS = Stream(
    name="accounts",
    endpoint="accounts",
    description="Companies in Daktela's CRM. A contact belongs to at most one of them.",
    fields=(
        key("name", "Key of the account."),
        text("title", "Display name of the account."),
        any_as_text("survey", f"Survey of the account. {_GONE}"),
        text("description", "Free-text description."),
        _DELETED,
        *relation("database", "the CRM database that contains the account"),
        *relation("sla", "the service-level agreement of the account"),
        *relation("user", "the owner of the account", joins="users"),
        moment("created", "When the account was created."),
        moment("edited", "When the account was last changed."),
        _CUSTOM_FIELDS,
        SERVER,
    ),
)

_GROUPS = Stream(
    name="groups",
    endpoint="groups",
    description="Groups of ticket categories, queues, users or profiles.",
    fields=(
        key("name", "Key of the group."),
        text("title", "Display name of the group."),
        text("description", "Free-text description."),
        text("type", "What the group contains: `categories`, `queues`, `users` or `profiles`."),
        _DELETED,
        SERVER,
    ),
)

_PAUSES = Stream(
    name="pauses",
    endpoint="pauses",
    description="Kinds of pause that agents can take.",
    fields=(
        key("name", "Key of the pause."),
        text("title", "Display name of the pause."),
        boolean("paid", "Whether the pause counts as paid time."),
        text("type", "Built-in kind: `wrap`, `dnd` or `lajdak`; null for a custom pause."),
        # The help pages say minutes. The limit in the schema, 86400, suggests seconds.
        integer("max_duration", "Maximum duration of the pause. Daktela's documents disagree on its unit."),
        text("calculated_from", "Start of the period over which pauses are counted: empty or `- 1 day`."),
        boolean("auto_pause", "Whether the pause is started automatically."),
        _DELETED,
        boolean("repeatable", "Whether the pause can be taken repeatedly."),
        integer("max_amount", "How many times a day the pause can be taken."),
        integer("min_timeout", "Minutes until the pause can be taken again."),
        boolean("prevent_direct_calls", "Whether direct calls to the agent are blocked during the pause."),
        SERVER,
    ),
)

_QUEUES = Stream(
    name="queues",
    endpoint="queues",
    description="Queues through which activities of all channels reach the agents.",
    fields=(
        key("name", "Key of the queue, its number."),
        text("title", "Display name of the queue."),
        text("description", "Free-text description."),
        text(
            "type",
            "Channel or dialling mode: `in`, `ctc`, `out`, `outbounder`, `progressive`, `dialer`, "
            "`interviewer`, `email`, `sms`, `chat`, `fbm`, `igdm`, `socialmedia`, `wap`, `vbr` or `custom`.",
        ),
        text("direction", "Who starts the queue's activities: `in` for the customer, `out` for the agent."),
        boolean("deactivated", "Whether the queue is deactivated."),
        _DELETED,
        any_as_text("usersCount", f"Number of users in the queue. {_GONE}"),
        text("alias", "Alternative name of the queue."),
        text("call_steering_description", "Description of the queue for voice call steering."),
        SERVER,
    ),
    # For an e-mail queue, `options` contains the credentials of its mailbox.
    left_out=frozenset({"options"}),
)

_STATUSES = Stream(
    name="statuses",
    endpoint="statuses",
    description="Statuses with which agents mark tickets, activities and records.",
    fields=(
        key("name", "Key of the status."),
        text("title", "Display name of the status."),
        boolean("validation", "Whether the status requires a validation. Daktela documents no details."),
        boolean("nextcall", "Whether a next call is planned with the status."),
        any_as_text("blacklist_database", f"Blacklist to which the status adds an entry. {_GONE}"),
        any_as_text("blacklist_expiration_time", f"When that entry expires. {_GONE}"),
        text("color", "Colour of the status in Daktela's interface."),
        _DELETED,
        text("description", "Free-text description."),
        SERVER,
    ),
)

_TEMPLATES = Stream(
    name="templates",
    endpoint="templates",
    description="Prepared texts for messages of all channels.",
    fields=(
        key("name", "Key of the template."),
        text("title", "Display name of the template."),
        text("description", "Free-text description."),
        text("format", "Formatting of the content: `RICH` or `PLAIN`."),
        text(
            "usingtype",
            "What the template is for: `EMAIL`, `SMS`, `FBM`, `IGDM`, `WAP`, `WAP_OUTGOING`, `VBR`, `CHAT`, "
            "`CHAT_NPS`, `EMAIL_SIGN`, `EMAIL_NPS`, `SOCIALMEDIA` or `USERSIGN`.",
        ),
        text("content", "Content of the template, as HTML."),
        _DELETED,
        scalar_relation("id_template", "Parent template if the API sends a scalar; see id_template_name."),
        *relation("id_template", "the parent template", joins="templates"),
        *relation("user", "the owner of the template, null if it is visible to all users", joins="users"),
        text("subject", "Subject of e-mails that use the template."),
        text("externalDataUrl", "URL from which the template takes external data."),
        mapping("config", "Configuration of the template."),
        SERVER,
    ),
)

_USERS = Stream(
    name="users",
    endpoint="users",
    description="Users of Daktela: agents, supervisors and back-office employees.",
    selected_by_default=False,
    fields=(
        key("name", "Key of the user, the login name."),
        text("title", "Display name of the user."),
        text("description", "Free-text description."),
        scalar_relation("algo", "Integration of the user if the API sends a scalar; see algo_name."),
        text("email", "E-mail address of the user."),
        number("nps_score", "Net promoter score of the user."),
        boolean("backoffice_user", f"Whether the user works in the back office. {_GONE}", official=False),
        _DELETED,
        text("type", "Kind of user: `CC` (contact centre), `CP` (cloud phone) or `BO` (back office)."),
        text("alias", "Alternative name of the user."),
        *relation("role", "the role of the user"),
        *relation("profile", "the profile of the user"),
        text("call_steering_description", "Description of the user for voice call steering."),
        text("extension", "Telephone extension of the user."),
        *relation("acl", "the rule that restricts which numbers the user may call"),
        text("extension_state", "State of the extension: `online`, `offline`, `busy` or empty."),
        text("presence_state", "Presence of the user."),
        text("clid", "Caller identification of the user's outgoing calls."),
        boolean("static", "Whether the user is marked as static."),
        text("frontend_version", "User interface that the user works with: `angular` or `react`."),
        boolean("allowRecordingInterruption", "Whether the user may interrupt the recording of a call."),
        text(
            "recordAtCallStart",
            "When recording starts: `disabled`, `immediately`, `bridged` or `bridged_with_transfer`.",
        ),
        *relation("algo", "the integration that is configured for the user"),
        text("icon", "Picture of the user."),
        text("emoji", "Emoji of the user."),
        integer("mfa_verification", "Setting of multi-factor authentication: `0`, `1` or `2`."),
        *relation("sign", "the template with the user's signature", joins="templates"),
        boolean("ctrl_enter_email", "Whether Ctrl+Enter sends an e-mail."),
        boolean("cp_access_crm", "Whether a cloud-phone user has access to the CRM."),
        text("forwarding_number", "Number to which the user's calls are forwarded."),
        text("timezone", "Time zone of the user: an IANA name or `_AUTOMATIC_`."),
        boolean("deactivated", "Whether the user is deactivated."),
        text("firstname", "First name of the user.", official=False),
        text("lastname", "Last name of the user.", official=False),
        SERVER,
    ),
    # The first three can contain tokens and passwords.
    left_out=frozenset({"options", "fcmSettings", "emailAuth", "recordCalls", "backofficeRinging"}),
)

_TICKET_CATEGORIES = Stream(
    name="ticket_categories",
    endpoint="ticketsCategories",
    description="Categories of tickets, with their deadlines and rules.",
    selected_by_default=False,
    fields=(
        key("name", "Key of the category."),
        text("title", "Display name of the category."),
        text("description", "Free-text description."),
        *relation("sla", "the service-level agreement of the category"),
        *relation("timecondition", "the working hours of the category"),
        *relation("email_queue", "the queue for e-mails of the category", joins="queues"),
        *relation("call_queue", "the queue for calls of the category", joins="queues"),
        *relation("sms_queue", "the queue for text messages of the category", joins="queues"),
        *relation("default_crm_database", "the CRM database that the category uses by default"),
        boolean("allow_external_comments", "Whether external users may comment on tickets of the category."),
        text("status_required", "When a status must be set: `never`, `closing_ticket` or `always`."),
        boolean("multiple_statuses", "Whether a ticket may have several statuses."),
        boolean("closeCheckChilds", "Whether a ticket can be closed only after all its child tickets."),
        integer("auto_archive_tickets", "Days after which a closed ticket is archived."),
        text("autofocused_tab", "Tab that Daktela's interface opens first."),
        SERVER,
    ),
)


# --- Incremental by time of change --------------------------------------------------------------------------

_TICKETS = Stream(
    name="tickets",
    endpoint="tickets",
    description="Requests of customers, each with its stage, deadlines and satisfaction.",
    replication_key="edited",
    fields=(
        key("name", "Key of the ticket, its number."),
        text("title", "Subject of the ticket."),
        text("email", "E-mail address of the customer."),
        text("description", "Description of the ticket."),
        text("stage", "Stage of processing: `OPEN`, `WAIT`, `CLOSE` or `ARCHIVE`."),
        text("priority", "Priority of the ticket: `LOW`, `MEDIUM` or `HIGH`."),
        moment("sla_deadtime", "Deadline of the first answer or, after the first answer, of closing."),
        moment("sla_change", "When the basis of the deadline last changed."),
        any_as_text("sla_notify", f"Notification about the deadline. {_GONE}"),
        integer("sla_duration", "Time between the last change and the deadline, in seconds."),
        boolean("sla_custom", "Whether a user set the deadline."),
        any_as_text("survey", f"Survey of the ticket. {_GONE}"),
        any_as_text("survey_offered", f"Whether the customer was offered the survey. {_GONE}"),
        any_as_text("satisfaction", f"Satisfaction of the customer. {_GONE}"),
        any_as_text("satisfaction_comment", f"Comment of the customer on the satisfaction. {_GONE}"),
        moment("reopen", "When the ticket will be reopened. It can be far in the future."),
        _DELETED,
        moment("created", "When the ticket was created."),
        moment("edited", "When the ticket was last changed."),
        moment("first_answer", "When the ticket was first answered."),
        integer("first_answer_duration", "Time to the first answer, in seconds."),
        moment("closed", "When the ticket was closed."),
        boolean("unread", "Whether the ticket has unread content."),
        boolean("has_attachment", "Whether the ticket has an attachment."),
        boolean("isBookmarked", f"Whether the ticket is bookmarked. {_GONE}", official=False),
        *relation("id_merge", "the ticket into which this one was merged", joins="tickets"),
        *relation("category", "the category of the ticket", joins="ticket_categories"),
        *relation("user", "the agent of the ticket", joins="users"),
        *relation("contact", "the contact of the ticket", joins="contacts"),
        *relation("parentTicket", "the parent ticket", joins="tickets"),
        boolean("isParent", "Whether the ticket has child tickets."),
        integer("sla_overdue", "Time since the deadline passed, in seconds."),
        moment("sla_close_deadline", "Deadline of closing the ticket."),
        integer("interaction_activity_count", "Number of activities of the ticket."),
        *relation("created_by", "the user who created the ticket", joins="users"),
        *relation("edited_by", "the user who last changed the ticket", joins="users"),
        moment("first_answer_deadline", "Deadline of the first answer."),
        integer("first_answer_overdue", "Time since the deadline of the first answer passed, in seconds."),
        moment("last_unread_date", "When the last unread content arrived."),
        *relations("followers", "the users who follow the ticket", joins="users"),
        *relations("statuses", "the statuses of the ticket", joins="statuses"),
        moment("last_activity", "When the ticket's last activity took place."),
        moment("last_activity_operator", "When an agent was last active on the ticket."),
        moment("last_activity_client", "When the customer was last active on the ticket."),
        _CUSTOM_FIELDS,
        SERVER,
    ),
    left_out=frozenset({"isFollowed", "isFollowedRead"}),
)

_CONTACTS = Stream(
    name="contacts",
    endpoint="contacts",
    description="People in Daktela's CRM.",
    replication_key="edited",
    selected_by_default=False,
    fields=(
        key("name", "Key of the contact."),
        text("title", "Full name of the contact, as displayed."),
        text("firstname", "First name of the contact."),
        text("lastname", "Last name of the contact."),
        *relation("database", "the CRM database that contains the contact"),
        *relation("account", "the company of the contact", joins="accounts"),
        *relation("user", "the owner of the contact", joins="users"),
        text("description", "Free-text description."),
        number("nps_score", "Net promoter score, calculated from the contact's surveys."),
        moment("created", "When the contact was created."),
        moment("edited", "When the contact was last changed."),
        mapping("duplicateContacts", "Contacts that count as duplicates of this one."),
        mapping("notDuplicateContacts", "Contacts that do not count as duplicates of this one."),
        _CUSTOM_FIELDS,
        SERVER,
    ),
)

_CAMPAIGN_RECORDS = Stream(
    name="campaign_records",
    endpoint="campaignsRecords",
    description="Records of outgoing campaigns: the contact to call, the time and the result.",
    replication_key="edited",
    selected_by_default=False,
    fields=(
        key("name", "Key of the record."),
        *relation("user", "the agent of the record", joins="users"),
        *relation("record_type", "the call script of the record"),
        *relation("database", "the campaign database that contains the record"),
        moment("nextcall", "When the next call is planned."),
        integer(
            "action",
            "State of the record: `0` not assigned, `1` ready, `2` rescheduled by the dialler, "
            "`3` call in progress, `4` hung up, `5` done or `6` rescheduled.",
        ),
        key("call_id", "Key of the record's call; joins activities_call.item_id_call."),
        key("activity", "Key of the record's activity; joins activities.name."),
        _OPTIONS,
        *relation("contact", "the contact to be called", joins="contacts"),
        moment("edited", "When the record was last changed."),
        moment("created", "When the record was created."),
        *relations("statuses", "the statuses of the record", joins="statuses"),
        _CUSTOM_FIELDS,
        SERVER,
    ),
    left_out=frozenset({"number", "queue", "title"}),
)

_CRM_RECORDS = Stream(
    name="crm_records",
    endpoint="crmRecords",
    description="Records of any kind that are attached to contacts, accounts or tickets.",
    replication_key="edited",
    selected_by_default=False,
    fields=(
        key("name", "Key of the record."),
        *relation("type", "the type of the record"),
        *relation("user", "the owner of the record", joins="users"),
        *relation("contact", "the contact of the record", joins="contacts"),
        *relation("account", "the account of the record", joins="accounts"),
        *relation("ticket", "the ticket of the record", joins="tickets"),
        text("title", "Display name of the record."),
        text("description", "Free-text description."),
        *relation("status", "the status of the record", joins="statuses"),
        moment("created", "When the record was created."),
        moment("edited", "When the record was last changed."),
        text("stage", "Stage of the record: `OPEN` or `CLOSE`."),
        _CUSTOM_FIELDS,
        SERVER,
    ),
    left_out=frozenset({"deleted"}),
)


# --- Activities, incremental by time of creation ------------------------------------------------------------
# They have no time of change (daktela-api.md §4.2). `time_close` finds those that were open in an earlier run.

_TIME = moment("time", "When the activity was created.")
_TICKET_NAME, _TICKET_TITLE = relation("ticket", "the ticket of the activity", joins="tickets")
_QUEUE_NAME, _QUEUE_TITLE = relation("queue", "the queue of the activity", joins="queues")
_USER_NAME, _USER_TITLE = relation("user", "the agent of the activity", joins="users")
_CONTACT_NAME, _CONTACT_TITLE = relation("contact", "the contact of the activity", joins="contacts")

_ACTIVITIES = Stream(
    name="activities",
    endpoint="activities",
    description="The work of agents: calls, e-mails, chats, messages, comments and other activities. "
    "Calls, e-mails and chats whose item is missing are left out.",
    replication_key="time",
    closed="time_close",
    item_keys={"CALL": "item.id_call", "EMAIL": "item.name", "CHAT": "item.name"},
    fields=(
        key("name", "Key of the activity."),
        _TIME,
        _TICKET_NAME,
        _QUEUE_NAME,
        _USER_NAME,
        # Current builds have the list `statuses` instead.
        key("status_name", f"Key of the status; joins statuses.name. {_GONE}", "status.name", official=False),
        _CONTACT_NAME,
        # Custom fields of the instance for which the original extractor was written (Czech: rating, agent, id of
        # call).
        any_as_text(
            "record_customFields_hodnoceni",
            "Custom field `hodnoceni` (rating) of the campaign record.",
            "record.customFields.hodnoceni",
        ),
        any_as_text(
            "record_customFields_operator",
            "Custom field `operator` (agent) of the campaign record.",
            "record.customFields.operator",
        ),
        any_as_text(
            "record_customFields_id_hovoru",
            "Custom field `id_hovoru` (id of the call) of the campaign record.",
            "record.customFields.id_hovoru",
        ),
        text("title", "Display name of the activity."),
        text("action", "State of the activity: `WAIT`, `OPEN`, `POSTPONE`, `CLOSE` or empty."),
        text(
            "type",
            "Kind of activity: `CALL`, `EMAIL`, `CHAT`, `SMS`, `FBM`, `IGDM`, `WAP`, `VBR`, `CUSTOM`, "
            "`FBCOMMENT`, `IGCOMMENT`, `COMMENT` or empty. An empty type is also a comment.",
        ),
        scalar_relation("survey", "Survey of the activity if the API sends a scalar; see survey_name."),
        scalar_relation("record", "Campaign record of the activity if the API sends a scalar; see record_name."),
        integer("priority", "Priority of the activity, from 1 to 255."),
        text("description", "Description of the activity, as HTML."),
        moment("time_wait", "When the activity began to wait."),
        moment("time_open", "When the activity was opened."),
        moment("time_close", "When the activity was closed or postponed."),
        boolean("important", "Whether the activity is marked as important."),
        scalar_relation("status", f"Status of the activity if the API sends a scalar. {_GONE}", official=False),
        _TICKET_TITLE,
        _QUEUE_TITLE,
        _USER_TITLE,
        _CONTACT_TITLE,
        *relation("survey", "the survey of the activity", titled=False),
        key("record_name", "Key of the campaign record; joins campaign_records.name.", "record.name"),
        _OPTIONS,
        integer("baw", "Duration of the work before the activity, in seconds."),
        integer("aaw", "Duration of the work after the activity, in seconds."),
        integer("duration", "Duration of the activity, in seconds."),
        integer("focus_time", "Time during which the agent had the tab of the activity open, in seconds."),
        integer("focus_disruptions", "Number of times that the agent left the tab of the activity."),
        integer("ringing_time", "Time of ringing, in seconds."),
        *relation("created_by", "the user who created the activity", joins="users"),
        *relations("statuses", "the statuses of the activity", joins="statuses"),
        _CUSTOM_FIELDS,
        boolean("anonymized", "Whether the activity was anonymised.", official=False),
        SERVER,
    ),
    # The item is a number or an object. The item streams contain its fields.
    left_out=frozenset({"item", "attachments"}),
)


# --- Activities together with their items -------------------------------------------------------------------
# The columns of items have the names of the API here. `in_item` adds `item` to them.

_LEFT_OUT = {
    "CALL": ("activities", "dialer_time", "qa_user_id", "attemps"),
    "EMAIL": ("activities", "files", "attachments", "result"),
    "SMS": ("clid",),
    **dict.fromkeys(("FBM", "IGDM", "WAP", "VBR"), ("full_name",)),
}
"""Activity type -> fields of its item without a column. `activities` are the activities of the item."""


def _with_items(
    activity_type: str,
    columns: tuple[Field, ...],
    description: str,
    *,
    item_key: str = "name",
    selected_by_default: bool = False,
) -> Stream:
    """Return the item stream of one type of activity. `columns` are those of the item."""
    return Stream(
        name=f"activities_{activity_type.lower()}",
        endpoint="activities",
        description=description,
        keys=("activities_name", f"item_{item_key}"),
        replication_key="time",
        closed="time_close",
        activity_type=activity_type,
        item_keys={activity_type: f"item.{item_key}"},
        left_out=frozenset(_LEFT_OUT.get(activity_type, ())),
        selected_by_default=selected_by_default,
        fields=(
            key("activities_name", "Key of the activity; joins activities.name.", "name"),
            _QUEUE_NAME,
            _TIME,
            *columns,
            _QUEUE_TITLE,
            _TICKET_NAME,
            _TICKET_TITLE,
            _USER_NAME,
            _USER_TITLE,
            _CONTACT_NAME,
            _CONTACT_TITLE,
            SERVER,
            UNIQUE_ID,
        ),
    )


_CALL = (
    key("id_call", "Key of the call. One call can have several activities, for example after a transfer."),
    moment("call_time", "When the call began."),
    text("direction", "Direction of the call: `in`, `out` or `internal`."),
    boolean("answered", "Whether the call was answered."),
    text("clid", "Caller identification, the number of the customer."),
    # It is not a key, but the original extractor added the prefix of keys.
    prefixed(
        "prefix_clid_name",
        "Prefix of the caller identification. It begins with the prefix of the instance, as keys do.",
    ),
    text("did", "Number of Daktela that was dialled."),
    integer("waiting_time", "Total time in the queue, in seconds."),
    integer("ringing_time", "Time of the last ringing, in seconds."),
    integer("hold_time", "Time on hold, in seconds.", official=False),
    integer("duration", "Duration of the answered call, in seconds."),
    any_as_text("orig_pos", f"Position in the queue at the start. {_GONE}"),
    any_as_text("position", f"Position in the queue. {_GONE}"),
    text("disposition_cause", "Who ended the call: `caller`, `agent`, `transfer`, `system` or empty."),
    text(
        "disconnection_cause",
        "How the call ended: `abandon`, `exitwithtimeout`, `exitwithkey`, `exitempty`, `busy`, `cancel`, "
        "`noanswer`, `failed`, `amdmachine` or empty.",
    ),
    text("pressed_key", "Key that the caller pressed in the queue."),
    integer("missed_call", "`1` if the call was missed, `0` once it was called back, null otherwise."),
    moment("missed_call_time", "When the missed call was called back."),
    integer("attempts", "Number of failed attempts to connect the call with an agent."),
    any_as_text("score", f"Score of the call. {_GONE}"),
    any_as_text("note", f"Note on the call. {_GONE}"),
    *relation("id_queue", "the queue of the call", joins="queues"),
    *relation("id_agent", "the agent of the call", joins="users"),
    *relation("contact", "the contact of the call", joins="contacts"),
    # A call is the only object whose key is not named `name`. It has no title.
    key(
        "missed_callback_name",
        "Key of the call with which the missed call was called back; joins activities_call.item_id_call.",
        "missed_callback.id_call",
    ),
    _OPTIONS,
    *relation("cdr", "the detail record of the call", titled=False),
)

_EMAIL = (
    key("name", "Key of the e-mail."),
    text("address", "Address of the sender or, for an outgoing e-mail, of the recipient."),
    text("direction", "Direction of the e-mail: `in` or `out`."),
    integer("wait_time", "Total time in the queue, in seconds."),
    integer("duration", "Time of writing the e-mail, in seconds."),
    boolean("answered", "Whether the e-mail was answered."),
    text("text", "Body of the e-mail, as HTML. It can be very large."),
    moment("time", "When the e-mail was received or sent."),
)

_EMAIL_MORE = (
    *relation("queue", "the queue of the e-mail", joins="queues"),
    *relation("user", "the agent of the e-mail", joins="users"),
    *relation("contact", "the contact of the e-mail", joins="contacts"),
    text("title", "Subject of the e-mail."),
    mapping("options", "Further parts of the e-mail, such as its headers."),
    text("state", "State: `SENT`, `FAILED`, `WAIT`, `POSTPROCESSING` or `DRAFT`. Null for a received e-mail."),
)

_CHAT = (
    text("title", "Name of the customer."),
    text("email", "E-mail address of the customer."),
    integer("wait_time", "Time in the queue until the chat was accepted, in seconds."),
    integer("duration", "Duration of the chat, in seconds."),
    boolean("answered", "Whether the chat was answered."),
    text(
        "disconnection",
        "How the chat ended: `USER`, `CLIENT`, `TIMEOUT`, `NOT_AVAIL`, `OUT_OF_TIME`, `DECISION_TREE`, `BAN` "
        "or empty.",
    ),
    moment("time", "When the chat was created."),
    key("name", "Key of the chat."),
    any_as_text("ip", f"IP address of the customer; see item_ipaddress. {_GONE}"),
    any_as_text("country_code", f"Code of the customer's country. {_GONE}"),
    any_as_text("country_name", f"Name of the customer's country. {_GONE}"),
    any_as_text("region_code", f"Code of the customer's region. {_GONE}"),
    any_as_text("region_name", f"Name of the customer's region. {_GONE}"),
    any_as_text("city", f"City of the customer. {_GONE}"),
    any_as_text("zip_code", f"Postal code of the customer. {_GONE}"),
    any_as_text("time_zone", f"Time zone of the customer. {_GONE}"),
    any_as_text("latitude", f"Latitude of the customer, in degrees. {_GONE}"),
    any_as_text("longitude", f"Longitude of the customer, in degrees. {_GONE}"),
    any_as_text("metro_code", f"Code of the customer's metropolitan area. {_GONE}"),
    # It has the name of the title of `queue`, which the column queue_title contains, too.
    any_as_text("queue_title", f"Title of the queue of the chat. {_GONE}"),
    text("referer", "Address of the page from which the customer opened the website.", official=False),
    text("state", "`ROUTING` while the chat waits for an agent, otherwise empty."),
    *relation("connector", "the connector through which the chat arrived"),
    *relation("user", "the agent of the chat", joins="users"),
    *relation("queue", "the queue of the chat", joins="queues", titled=False),
    *relation("contact", "the contact of the chat", joins="contacts"),
    _OPTIONS,
    text("missed", "Whether the chat was missed: `YES`, `NO` or empty."),
    moment("missed_time", "When the chat was missed."),
    text("phone", "Telephone number of the customer."),
    mapping("context", "Context that the website passed to the chat."),
    integer("routing_duration", "Time of routing the chat, in seconds.", official=False),
    text("host", "Host name of the website with the chat.", official=False),
    text("refererLast", "Address of the page from which the customer last opened the website.", official=False),
    text("browser", "Browser of the customer.", official=False),
    boolean("mobileDevice", "Whether the customer uses a mobile device.", official=False),
    boolean("privateMode", "Whether the customer's browser is in private mode.", official=False),
    mapping("users", "Users who took part in the chat.", official=False),
    mapping("customer", "Information of the chat about the customer.", official=False),
    mapping("customFields", "Custom fields of this instance, each a list of texts.", official=False),
    boolean("hasFocus", "Whether the customer's tab has the focus.", official=False),
    boolean("isVisible", "Whether the customer's tab is visible.", official=False),
    boolean("gdpr", "Whether the customer agreed to the processing of personal data.", official=False),
    text("language", "Language of the customer's browser.", official=False),
    text("ipaddress", "IP address of the customer.", official=False),
    moment("heartbeat", "When the customer's browser last sent a heartbeat.", official=False),
)

# The common columns of text messages and messengers.
_MESSAGES = (
    text("state", "`ROUTING` while the conversation waits for an agent, otherwise empty."),
    *relation("connector", "the connector through which the conversation arrived"),
    *relation("user", "the agent of the conversation", joins="users"),
    *relation("queue", "the queue of the conversation", joins="queues"),
    *relation("contact", "the contact of the conversation", joins="contacts"),
    boolean("answered", "Whether the conversation was answered."),
    _OPTIONS,
    integer("duration", "Duration of the conversation, in seconds."),
    moment("time", "When the conversation was created."),
    integer("wait_time", "Time in the queue until the conversation was accepted, in seconds."),
    text("direction", "Direction of the conversation: `IN`, `OUT`, or empty for conversations of the system."),
    text(
        "disconnection",
        "How the conversation ended: `USER`, `CLIENT`, `TIMEOUT`, `NOT_AVAIL`, `OUT_OF_TIME`, "
        "`DECISION_TREE` or empty.",
    ),
    text("missed", "Whether the conversation was missed: `YES`, `NO` or empty."),
    moment("missed_time", "When the conversation was missed."),
)

_SMS = (
    key("name", "Key of the conversation."),
    text("sender", "Telephone number of the customer."),
    *_MESSAGES,
)

_MESSENGER = (
    key("name", "Key of the conversation."),
    text("title", "Name of the customer."),
    text("sender", "Id of the customer in the messenger."),
    # The contact of the messenger has `id` and `full_name` instead of `name` and `title`.
    key("external_contact_name", "Key of the customer's contact in the messenger.", "external_contact.id"),
    text("external_contact_title", "Name of that contact.", "external_contact.full_name"),
    *_MESSAGES,
)

_INSTAGRAM = (
    *_MESSENGER,
    text("type", "Kind of message: `DM`, `STORY_REPLY` or `STORY_MENTION`."),
)

_ACTIVITIES_CALL = _with_items(
    "CALL",
    in_item(_CALL),
    "Telephone calls, a row for each activity with its call.",
    item_key="id_call",
    selected_by_default=True,
)

_ACTIVITIES_EMAIL = _with_items(
    "EMAIL",
    (*in_item(_EMAIL), text("title", "Display name of the activity."), *in_item(_EMAIL_MORE)),
    "E-mails, a row for each activity with its e-mail.",
    selected_by_default=True,
)

_ACTIVITIES_CHAT = _with_items(
    "CHAT",
    in_item(_CHAT),
    "Web chats, a row for each activity with its chat.",
    selected_by_default=True,
)

_ACTIVITIES_SMS = _with_items(
    "SMS", in_item(_SMS), "Text messages (SMS), a row for each activity with its conversation."
)
_ACTIVITIES_FBM = _with_items(
    "FBM", in_item(_MESSENGER), "Facebook Messenger, a row for each activity with its conversation."
)
_ACTIVITIES_IGDM = _with_items(
    "IGDM", in_item(_INSTAGRAM), "Instagram direct messages, a row for each activity with its conversation."
)
_ACTIVITIES_WAP = _with_items(
    "WAP", in_item(_MESSENGER), "WhatsApp, a row for each activity with its conversation."
)
_ACTIVITIES_VBR = _with_items("VBR", in_item(_MESSENGER), "Viber, a row for each activity with its conversation.")


STREAMS: tuple[Stream, ...] = (
    # Selected by default.
    _ACCOUNTS,
    _GROUPS,
    _PAUSES,
    _QUEUES,
    _STATUSES,
    _TEMPLATES,
    _TICKETS,
    _ACTIVITIES,
    _ACTIVITIES_CALL,
    _ACTIVITIES_EMAIL,
    _ACTIVITIES_CHAT,
    # Not selected by default.
    _USERS,
    _CONTACTS,
    _TICKET_CATEGORIES,
    _CAMPAIGN_RECORDS,
    _CRM_RECORDS,
    _ACTIVITIES_SMS,
    _ACTIVITIES_FBM,
    _ACTIVITIES_IGDM,
    _ACTIVITIES_WAP,
    _ACTIVITIES_VBR,
)
"""All streams of the tap, in the order of discovery."""
