-- A corrections file that came with a delivery is landed with it, under the same receipt.

alter table audit.receipt
    add column corrections_path text,
    add column corrections_sha256 text,
    add constraint receipt_corrections_whole
        check ((corrections_path is null) = (corrections_sha256 is null));
comment on column audit.receipt.corrections_path is
    'The landed corrections file, relative like landing_path; null when the delivery has none.';
