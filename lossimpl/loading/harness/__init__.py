"""Fresh processes for jobs: started without importing torch each time, watched, and ended with all they started."""
