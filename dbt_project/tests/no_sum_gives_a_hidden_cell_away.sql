-- A sum with exactly one hidden cell shows it by subtraction.
select sums.sum_id
from {{ ref('int_kpi__sums') }} as sums
left join {{ ref('int_kpi__suppressed_cells') }} as hidden on sums.cell_id = hidden.cell_id
group by sums.sum_id
having count(hidden.cell_id) = 1 and count(*) > 1
