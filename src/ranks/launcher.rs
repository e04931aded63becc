//! The processes that a launcher started together, from the environment that it gives them.

/// The number of processes that a launcher started together with this one; `None` without a launcher.
///
/// Open MPI's `mpirun` sets `OMPI_COMM_WORLD_SIZE`; MPICH's and Intel MPI's `mpirun` and Slurm's `srun --mpi=pmi2` set
/// `PMI_SIZE`; `srun --mpi=pmix` sets `PMIX_RANK`, and its number of tasks is in `SLURM_STEP_NUM_TASKS`.
pub fn processes() -> Option<usize> {
    of(|name| std::env::var(name).ok())
}

/// The number of this process among those that the launcher started on this host, from 0; 0 without a launcher.
#[cfg(feature = "cuda")]
pub fn local_rank() -> usize {
    let variable = |name: &str| std::env::var(name).ok()?.trim().parse().ok();
    let names = ["OMPI_COMM_WORLD_LOCAL_RANK", "MPI_LOCALRANKID", "SLURM_LOCALID"];
    names.into_iter().find_map(variable).unwrap_or(0)
}

fn of(variable: impl Fn(&str) -> Option<String>) -> Option<usize> {
    let number = |name: &str| variable(name)?.trim().parse().ok();
    let size = number("OMPI_COMM_WORLD_SIZE").or_else(|| number("PMI_SIZE"));
    size.or_else(|| {
        variable("PMIX_RANK")?;
        Some(number("SLURM_STEP_NUM_TASKS").unwrap_or(1))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_launcher_says_how_many_processes_it_started() {
        let with = |set: &[(&str, &str)]| {
            of(|name| set.iter().find(|(n, _)| *n == name).map(|(_, value)| (*value).to_owned()))
        };
        assert_eq!(with(&[]), None);
        assert_eq!(with(&[("OMPI_COMM_WORLD_SIZE", "4")]), Some(4));
        assert_eq!(with(&[("PMI_SIZE", "2")]), Some(2));
        assert_eq!(with(&[("PMIX_RANK", "0"), ("SLURM_STEP_NUM_TASKS", "8")]), Some(8));
        // The tasks of a batch job, outside `srun`.
        assert_eq!(with(&[("SLURM_STEP_NUM_TASKS", "8")]), None);
    }
}
