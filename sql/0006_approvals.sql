-- What a person answered for: a candidate whose warnings failed, or a batch that the intake gate
-- holds. A decision covers the content and the findings that it names, nothing else.

create table audit.approval (
    id bigint generated always as identity primary key,
    subject_kind text not null check (subject_kind in ('batch', 'candidate')),
    subject_id text not null,
    content_sha256 text not null check (content_sha256 ~ '^[0-9a-f]{64}$'),
    decision text not null check (decision in ('approved', 'rejected')),
    rules jsonb not null check (jsonb_typeof(rules) = 'array' and rules <> '[]'::jsonb),
    -- A name has two words at least; what is a role and no person is told in loaders/stages/approve.py.
    decided_by text not null check (decided_by ~ '^\S+( \S+)+$'),
    reason text not null check (char_length(btrim(reason)) >= 10),
    via text not null check (via in ('cli', 'airflow')),
    account text not null check (account <> ''),
    at timestamptz not null default clock_timestamp()
);
create index approval_subject_idx on audit.approval (subject_kind, subject_id, id);
comment on table audit.approval is
'Approvals and rejections by a named person; the newest of a subject and its content counts.';
comment on column audit.approval.content_sha256 is
'Of the candidate: hash over all its tables (loaders/stages/candidate.py); of a batch: of its file.';
comment on column audit.approval.rules is
'The findings answered for: rule_id, rule_version, observed, sentence in Vietnamese and English.';
comment on column audit.approval.account is 'Login through which the decision came in.';

create trigger append_only before update or delete or truncate on audit.approval
for each statement execute function audit.refuse_change();
alter table audit.approval enable always trigger append_only;

-- The loader, which takes batches in by itself, may read an approval and never give one.
grant select on audit.approval to nq42_loader, nq42_publisher, nq42_auditor;
grant insert on audit.approval to nq42_publisher;
