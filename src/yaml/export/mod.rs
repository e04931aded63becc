pub fn export(){}
