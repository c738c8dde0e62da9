SELECT zone FROM rollup_state WHERE id = 1
