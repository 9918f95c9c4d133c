"""What Ballast is made of: whether it is pinned, under which licences it comes, and what scanners say of our own code."""
